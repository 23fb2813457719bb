"""What a program that answers HTTP stands on: guards, problem documents, rates, and the server."""
