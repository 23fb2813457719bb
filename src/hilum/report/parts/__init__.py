"""Parts shared by reports: text, Markdown, results and counts, charts, figures, pages."""
