"""A bundle as one ZIP file that travels, and back: what comes in may be made to harm."""

import zipfile
from pathlib import Path

from llm_pipeline.errors import InvalidInput, ModelUnavailable
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer

FILES = (bundle.ARRAYS, bundle.DESCRIPTION)
MOST_BYTES = 4 << 30  # unpacked
MOST_TIMES = 200  # as large as packed
_PIECE = 1 << 20
_DAMAGE = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError)


def pack(folder: Path, path: Path) -> None:
    """Write the files of a bundle into a ZIP file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as parcel:
        for name in FILES:
            parcel.write(folder / name, name)


def unpack(path: Path, folder: Path) -> Recognizer:
    """Unpack a ZIP file into a folder and read the recogniser in it.

    Raises InvalidInput for anything that is not exactly a model of ours: other files in it, sizes
    that no model has, arrays that do not fit together. Nothing of it is executed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(path) as parcel:
            _inspect(parcel, path.stat().st_size)
            for name in FILES:
                _extract(parcel, name, folder / name)
        return bundle.load(folder)
    except _DAMAGE as error:
        raise InvalidInput(f"this is no exported model: {error}") from error
    except ModelUnavailable as error:
        raise InvalidInput(f"the model in this file cannot be used: {error}") from error


def _inspect(parcel: zipfile.ZipFile, packed: int) -> None:
    names = [one.filename for one in parcel.infolist()]
    if sorted(names) != sorted(FILES):
        raise InvalidInput(
            f"an exported model holds {' and '.join(FILES)}, this file {', '.join(names[:5])!r}"
        )
    size = sum(one.file_size for one in parcel.infolist())
    if size > MOST_BYTES or size > MOST_TIMES * packed:
        raise InvalidInput(f"it would unpack from {packed} to {size} bytes: no model does")


def _extract(parcel: zipfile.ZipFile, name: str, target: Path) -> None:
    """Copy what the directory promises and no byte more, whatever is packed."""
    left = parcel.getinfo(name).file_size
    with parcel.open(name) as source, target.open("wb") as file:
        while piece := source.read(min(_PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                raise InvalidInput(f"{name} is longer than it says")
            file.write(piece)
