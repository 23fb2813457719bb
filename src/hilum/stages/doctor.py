"""What this installation and machine can do: versions, processor, extras, decoders, a self-test."""

from __future__ import annotations

import importlib
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hilum.domain.documents import Document
from hilum.domain.errors import FilmError, HilumError
from hilum.domain.notice import NOT_A_DEVICE

__all__ = ["Decoder", "Diagnosis", "Extra", "Machine", "SelfTest", "diagnose", "machine"]

_PACKAGES = ("numpy", "openvino", "onnxruntime", "torch")
_EXTRAS = {
    "train": (
        "training, export, and `hilum calibrate --precision int8`",
        ("torch", "torchvision", "timm", "safetensors", "huggingface-hub", "onnx", "onnxscript"),
    ),
    "onnxruntime": ("prediction where OpenVINO is not, and on CUDA devices", ("onnxruntime",)),
    "tensorboard": ("`hilum train --sink tensorboard`", ("tensorboard",)),
    "mlflow": ("`hilum train --sink mlflow`", ("mlflow-skinny",)),
}
_DECODERS = (
    ("PNG", "kornia-rs", "kornia_rs"),
    ("PNG, JPEG, TIFF; JPEG in DICOM", "pillow", "PIL.Image"),
    ("DICOM, uncompressed", "pydicom", "pydicom"),
    ("JPEG Lossless and RLE in DICOM", "hilum", "hilum.imaging.dicom.lossless_jpeg"),
    ("JPEG-LS in DICOM", "pyjpegls", "jpeg_ls"),
    ("JPEG 2000 in DICOM", "pylibjpeg-openjpeg", "openjpeg"),
)
_FLAGS = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "AVX-512 VNNI": "avx512_vnni",
    "AVX-512 BF16": "avx512_bf16",
    "AMX BF16": "amx_bf16",
    "AMX INT8": "amx_int8",
}
_DRAWN = (None, "Effusion", "Cardiomegaly", "Pneumothorax")
_SIDE = 512
_ROUNDS = 4
_READER_GB = 4.0
"""Limit of memory of a process that reads films (`hilum.reading`)."""


class Machine(Document):
    """The processor and memory that this process may use.

    Attributes:
        system: operating system and architecture.
        processor: its name.
        cores: cores that this process may use.
        instructions: those that make the network faster, such as "AVX2"; null where unknown.
        memory_gb: all memory; null where unknown.
        available_gb: memory that is free for a new process; null where unknown.
        load: processes that wanted a core in the last minute; null where unknown.
    """

    system: str
    processor: str
    cores: int
    instructions: tuple[str, ...] | None
    memory_gb: float | None
    available_gb: float | None
    load: float | None


class Extra(Document):
    """An optional part of the installation: what it brings, and the packages it lacks."""

    name: str
    brings: str
    present: bool
    lacks: tuple[str, ...]


class Decoder(Document):
    """A kind of film, and the package that decodes it; no version where it cannot be loaded."""

    films: str
    package: str
    version: str | None


class SelfTest(Document):
    """The starter's scores of drawn films in memory; `error` is empty where all were scored."""

    films: int
    scored: int
    films_per_second: float | None
    precision: str | None
    runtime: str | None
    error: str


class Diagnosis(Document):
    """The report of `hilum doctor`.

    Attributes:
        notice: not a medical device.
        versions: package to its version; null where it is not installed.
        machine: processor and memory.
        extras: optional parts.
        decoders: what decodes which films.
        self_test: the starter on drawn films.
        slow: what is slow here and why, in sentences.
        missing: what does not work here and should, in sentences.
    """

    notice: str = NOT_A_DEVICE
    versions: dict[str, str | None]
    machine: Machine
    extras: tuple[Extra, ...]
    decoders: tuple[Decoder, ...]
    self_test: SelfTest
    slow: tuple[str, ...]
    missing: tuple[str, ...]


def diagnose() -> Diagnosis:
    """Examine the installation and the machine, and score a few drawn films with the starter."""
    here = machine()
    versions = {name: _version(name) for name in ("hilum", *_PACKAGES)}
    versions = {"hilum": versions.pop("hilum"), "python": platform.python_version(), **versions}
    decoders = tuple(
        Decoder(films=films, package=package, version=_loaded(package, module))
        for films, package, module in _DECODERS
    )
    test = _self_test(here.cores)
    missing = [
        f"{one.package} cannot be loaded: no decoder for {one.films}. Install hilum again"
        for one in decoders
        if one.version is None
    ]
    if test.error:
        missing.append(f"the self-test failed: {test.error}")
    return Diagnosis(
        versions=versions,
        machine=here,
        extras=tuple(_extra(name) for name in _EXTRAS),
        decoders=decoders,
        self_test=test,
        slow=_slow(here, versions),
        missing=tuple(missing),
    )


def machine(proc: Path = Path("/proc")) -> Machine:
    """Return the processor and memory that this process may use; unknown parts are None.

    Args:
        proc: Linux's folder of facts; systems without it leave most parts unknown.
    """
    processor, memory = _fields(proc / "cpuinfo"), _fields(proc / "meminfo")
    flags = processor.get("flags", "").split()
    affinity = getattr(os, "sched_getaffinity", None)
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=processor.get("model name") or platform.processor() or platform.machine(),
        cores=(os.cpu_count() or 1) if affinity is None else len(affinity(0)),
        instructions=tuple(word for word, flag in _FLAGS.items() if flag in flags)
        if flags
        else None,
        memory_gb=_gigabytes(memory.get("MemTotal")),
        available_gb=_gigabytes(memory.get("MemAvailable")),
        load=round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    )


def _fields(path: Path) -> dict[str, str]:
    """The first value of each `name: value` line; nothing where the system has no such file."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def _gigabytes(field: str | None) -> float | None:
    """Decimal gigabytes of a field such as "16384 kB"."""
    number = (field or "").split(" ")[0]
    return round(int(number) * 1024 / 1e9, 1) if number.isdigit() else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _loaded(package: str, module: str) -> str | None:
    """The version of a package whose module can be loaded."""
    try:
        importlib.import_module(module)
    except (ImportError, OSError):  # a shared library that is not there is an OSError
        return None
    return _version(package) or "unknown version"


def _extra(name: str) -> Extra:
    brings, packages = _EXTRAS[name]
    lacks = tuple(package for package in packages if _version(package) is None)
    if name == "mlflow" and _version("mlflow") is not None:
        lacks = ()  # the whole package holds the small one
    return Extra(name=name, brings=brings, present=not lacks, lacks=lacks)


def _self_test(threads: int) -> SelfTest:
    """Load the starter, which checks its own answers, and time it on drawn films."""
    scored, rate, precision, runtime, error = 0, None, None, None, ""
    films = len(_DRAWN) * _ROUNDS
    try:
        from hilum.bundle import Bundle
        from hilum.phantom.film import draw_example

        bundle = Bundle.load("starter", threads=threads)
        precision = bundle.precision.value
        drawn = [draw_example(finding, seed, _SIDE).pixels for seed, finding in enumerate(_DRAWN)]
        started = time.perf_counter()
        results = bundle.predict_many(drawn * _ROUNDS)
        rate = round(films / (time.perf_counter() - started), 1)
        for result in results:
            if isinstance(result, FilmError):
                error = f"a drawn film was refused: {result}"
            else:
                scored, runtime = scored + 1, result.runtime
    except (HilumError, ImportError, OSError) as fault:
        error = str(fault)
    return SelfTest(
        films=films,
        scored=scored,
        films_per_second=rate,
        precision=precision,
        runtime=runtime,
        error=error,
    )


def _slow(here: Machine, versions: dict[str, str | None]) -> tuple[str, ...]:
    """What is slow here and why; times are of DenseNet-121 at 224 px, in docs/lab-log.md."""
    known, words = here.instructions, list[str]()
    if known is None:
        words.append("The processor's instructions are unknown here; rely on films/s above.")
    elif "AVX-512" not in known:
        words.append("No AVX-512: f32 takes 1.5 times as long a film as with it.")
    if known is not None and not {"AMX BF16", "AVX-512 BF16"} & set(known):
        words.append("No bf16: `--precision bf16`, which is up to 4 times as fast, is refused.")
    elif known is not None:
        words.append(
            "f32 is the default, for the same scores on every machine. This processor computes in "
            "bf16, up to 4 times as fast: `hilum calibrate RUN --precision bf16`."
        )
    if versions["openvino"] is None:
        words.append("No OpenVINO: ONNX Runtime computes, in f32 only.")
    if here.cores == 1:
        words.append("One core: films are read and scored in turns.")
    if here.load is not None and here.load > here.cores:
        words.append(
            f"Other work is running (load {here.load:g} on {here.cores} cores): a quiet machine "
            "scores more films/s."
        )
    if here.available_gb is not None and here.available_gb < _READER_GB:
        words.append(
            f"{here.available_gb:g} GB of memory are available: a process that reads films may "
            f"take {_READER_GB:g} GB. Use `hilum predict --threads 1` for large films."
        )
    if "+cpu" in (versions["torch"] or ""):
        words.append("torch is the build for processors: `hilum train` uses no graphics card.")
    words.append("JPEG Lossless in DICOM is decoded in NumPy: 0.6 s a film of 1,760 x 1,760 px.")
    return tuple(words)
