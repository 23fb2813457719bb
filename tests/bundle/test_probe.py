from pathlib import Path
from hilum import Bundle
def test_a(toy: Path) -> None:
    b = Bundle.load(toy / "bundle")
    print(b.manifest.calibration.notes)
    import subprocess; print(subprocess.run(["ls","-R",toy/"bundle", toy/"run"],capture_output=True,text=True).stdout)
    for r in sorted((toy/"films"/"images").iterdir())[:5]: print(b.predict(r).positives)
