"""Random access to the records of a data set that TensorFlow Datasets has prepared."""

import os
from typing import Any

import numpy as np

from tfgen.core.checks import expected

# A TFRecord: its length (8 bytes) and the checksum of that (4), its bytes, and their checksum (4).
HEADER, FOOTER = 12, 4


class Records:
    """The records of a split.

    Args:
        builder: of a prepared data set.
        split: of it.

    Raises:
        ValueError: when the data set is stored in another format, or a file is cut off.
    """

    def __init__(self, builder: Any, split: str) -> None:
        from tensorflow_datasets.core.file_adapters import FileFormat

        files = builder.info.splits[split].file_instructions
        self._paths = [os.fspath(file.filename) for file in files]
        self._ends = np.cumsum([file.take for file in files])
        if builder.info.file_format == FileFormat.ARRAY_RECORD:
            self._record = builder.as_data_source(split).data_source.__getitem__
        elif builder.info.file_format == FileFormat.TFRECORD:
            self._offsets = np.concatenate([_offsets(file) for file in files])
            self._record = self._tfrecord
        else:
            what = "TFRecord or ArrayRecord files, which can be streamed (in_memory=True)"
            raise ValueError(expected(what, builder.info.file_format))

    def name(self, row: int) -> str:
        """Returns the path of the file that a record is in."""
        return self._paths[int(np.searchsorted(self._ends, row, side="right"))]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Returns records, bytes [n]; empty ones where there are none any more."""
        return np.array([self._record_or_nothing(row) for row in rows.tolist()], object)

    def _record_or_nothing(self, row: int) -> bytes:
        try:
            return self._record(row)
        except Exception:  # That of an ArrayRecord may be anything.
            return b""

    def _tfrecord(self, row: int) -> bytes:
        with open(self.name(row), "rb", buffering=0) as file:
            file.seek(self._offsets[row])
            return file.read(int.from_bytes(file.read(HEADER)[:8], "little"))


def _offsets(instruction: Any) -> np.ndarray:
    """Returns where the records of a TFRecord file begin, int64, by a walk from header to header.

    Args:
        instruction: of TensorFlow Datasets, which records of a file to read.
    """
    path = os.fspath(instruction.filename)
    found, offset, size = [], 0, os.path.getsize(path)
    with open(path, "rb") as file:
        while offset < size:
            file.seek(offset)
            found.append(offset)
            offset += HEADER + int.from_bytes(file.read(HEADER)[:8], "little") + FOOTER
    if offset > size or len(found) != instruction.examples_in_shard:
        what = f"a whole file of {instruction.examples_in_shard} records"
        raise ValueError(expected(what, f"{len(found)}, the last perhaps cut off, in {path}"))
    return np.array(found[instruction.skip :][: instruction.take], np.int64)
