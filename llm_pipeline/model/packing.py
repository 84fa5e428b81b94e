"""N-grams and sparse rows as flat arrays and back; what does not fit raises ValueError."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from llm_pipeline.model.archive import Arrays
from llm_pipeline.model.features import BITS, Ngrams


def ngram_arrays(name: str, ngrams: Ngrams) -> dict[str, npt.NDArray[Any]]:
    return {f"{name}_columns": ngrams.columns_, f"{name}_idf": ngrams.idf_}


def row_arrays(name: str, rows: csr_matrix) -> dict[str, npt.NDArray[Any]]:
    return {
        f"{name}_data": rows.data.astype(np.float16),
        f"{name}_indices": rows.indices,
        f"{name}_pointers": rows.indptr,
    }


def restored_ngrams(ngrams: Ngrams, name: str, arrays: Arrays) -> Ngrams:
    columns, idf = arrays[f"{name}_columns"], arrays[f"{name}_idf"]
    if columns.shape != idf.shape or columns.ndim != 1:
        raise ValueError(f"{columns.shape} terms with {idf.shape} weights")
    if len(columns) and not 0 <= columns.min() <= columns.max() < len(ngrams.views) << BITS:
        raise ValueError("terms outside the range of the hash")
    if not np.isfinite(idf).all():
        raise ValueError("weights of terms that are not finite")
    return ngrams.restore(columns, idf.astype(np.float32))


def restored_rows(name: str, arrays: Arrays, ngrams: Ngrams) -> csr_matrix:
    pointers = arrays[f"{name}_pointers"]
    rows = csr_matrix(
        (arrays[f"{name}_data"].astype(np.float32), arrays[f"{name}_indices"], pointers),
        shape=(len(pointers) - 1, len(ngrams.columns_)),
    )
    rows.check_format(full_check=True)  # sparse_dot_topn trusts the indices it is given
    if not np.isfinite(rows.data).all():
        raise ValueError("rows that are not finite")
    return rows


def check_kinds(arrays: Arrays) -> None:
    for name, array in arrays.items():
        whole = name.endswith(("_columns", "_indices", "_pointers"))
        if array.dtype.kind != ("i" if whole else "f"):
            raise ValueError(f"{name} of type {array.dtype}")
