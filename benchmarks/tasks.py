"""What is recognised: real sets read from a data folder, and catalogues made up by seed.

A task is split once, here, so that every recogniser learns and answers the same rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scoring import OUT_OF_SCOPE, Answered, hits, out_of_scope
from synthetic import synthetic

from llm_pipeline.domain.records import Target
from llm_pipeline.domain.text import group_key, normalize

SEED = 7
LEARNED_SHARE = 0.7


@dataclass(frozen=True)
class Task:
    """`groups` are places of test rows, each answered, timed and scored as a batch of its own.

    Those of `unscored` serve `extras` only: measures that this task alone has.
    """

    name: str
    about: str
    texts: np.ndarray
    targets: np.ndarray
    catalogue: list[Target]
    test_texts: np.ndarray
    test_targets: np.ndarray
    groups: dict[str, np.ndarray]
    top_k: int = 1
    unscored: tuple[str, ...] = ()
    extras: Callable[[dict[str, Answered]], dict[str, float]] | None = None


def toronto(folder: Path, *, names: bool = False) -> Task:
    rows = read(folder / "toronto_pcard_2011_2018/text_label.csv.gz")
    split = int(LEARNED_SHARE * len(rows))
    forms = rows["text"].map(normalize)
    keys = forms.map(group_key)
    new_form = ~forms[split:].isin(set(forms[:split])).to_numpy()
    new_key = ~keys[split:].isin(set(keys[:split])).to_numpy()
    first_form = ~forms[split:].duplicated().to_numpy()
    first_key = ~keys[split:].duplicated().to_numpy()
    catalogue = []
    if names:
        codes = read(folder / "catalogue_mcc/mcc_codes.csv.gz").drop_duplicates("mcc")
        catalogue = [Target(*row) for row in codes[["mcc", "edited_description"]].to_numpy()]
    return Task(
        name="toronto_names" if names else "toronto",
        about="City of Toronto purchase cards, merchant text -> category code: the first 70 % of "
        "rows in time learned, the rest answered" + (", code descriptions known" * names),
        texts=column(rows["text"][:split]),
        targets=column(rows["mcc"][:split]),
        catalogue=catalogue,
        test_texts=column(rows["text"][split:]),
        test_targets=column(rows["mcc"][split:]),
        groups={
            "all rows": np.arange(len(rows) - split),
            "unseen": np.flatnonzero(new_form),
            "unseen, one per text": np.flatnonzero(new_form & first_form),
            "truly new": np.flatnonzero(new_key),
            "truly new, one per key": np.flatnonzero(new_key & first_key),
        },
    )


def sec(folder: Path, *, approved: bool) -> Task:
    companies = read(folder / "catalogue_companies/sec_company_tickers.csv.gz")
    rows = read(folder / "sec_ftd_names/data.csv.gz")
    rows = rows[rows["in_catalogue"] == "True"]
    forms = rows["text"].map(normalize)
    learned = forms.isin(chosen(forms, 0.5)).to_numpy()
    tested = ~learned if approved else np.ones(len(rows), bool)
    taught = rows[learned & approved]
    return Task(
        name="sec_half" if approved else "sec_names",
        about="Security descriptions -> ticker by the catalogue of registered names, "
        + ("half of the descriptions approved" if approved else "no training"),
        texts=column(taught["text"]),
        targets=column(taught["label"]),
        catalogue=[Target(*row) for row in companies[["ticker", "name"]].to_numpy()],
        test_texts=column(rows["text"][tested]),
        test_targets=column(rows["label"][tested]),
        groups={"descriptions": np.arange(tested.sum())},
        top_k=5,
        extras=partial(hits, company=dict(companies[["ticker", "cik"]].to_numpy())),
    )


def brands(folder: Path) -> Task:
    """Hold out an alias that is not the brand's name in the catalogue."""
    rows = read(folder / "nsi_brands/aliases.csv.gz")
    names = rows.drop_duplicates("brand_id")[["brand_id", "canonical"]]
    rows["form"] = rows["alias"].map(normalize)
    rows = rows[rows["form"] != ""].drop_duplicates(["brand_id", "form"])
    named = rows["brand_id"].map(dict(names.to_numpy())).map(normalize)
    several = rows["brand_id"].duplicated(keep=False)
    free = rows[several & (rows["form"] != named)]
    held = free.groupby("brand_id").sample(1, random_state=SEED)
    rest = rows.drop(held.index)
    ambiguous = held["form"].isin(set(rest["form"]))
    return Task(
        name="nsi",
        about="Brand aliases -> brand (Wikidata id), one alias of each brand with several held "
        f"out; {ambiguous.mean():.1%} of them are also an alias of another brand",
        texts=column(rest["alias"]),
        targets=column(rest["brand_id"]),
        catalogue=[Target(*row) for row in names.to_numpy()],
        test_texts=column(held["alias"]),
        test_targets=column(held["brand_id"]),
        groups={"held-out aliases": np.arange(len(held))},
    )


def banking(folder: Path) -> Task:
    rows = read(folder / "banking77/data.csv.gz")
    learned = rows["split"] == "train"
    tested = rows[~learned]
    return Task(
        name="banking77",
        about="Banking77, the published split",
        texts=column(rows["text"][learned]),
        targets=column(rows["label"][learned]),
        catalogue=[],
        test_texts=column(tested["text"]),
        test_targets=column(tested["label"]),
        groups={"questions": np.arange(len(tested))},
    )


def clinc(folder: Path) -> Task:
    """Out-of-scope questions teach nothing; those of the validation part choose the threshold."""
    rows = read(folder / "clinc150/data.csv.gz")
    outside = rows["is_oos"] == "1"
    rows["target"] = rows["label"].mask(outside, OUT_OF_SCOPE)
    learned = (rows["split"] == "train") & ~outside
    tested = rows[rows["split"] != "train"]
    test, out = (tested["split"] == "test").to_numpy(), outside[tested.index].to_numpy()
    return Task(
        name="clinc150",
        about="CLINC150, the published split, taught with in-scope questions only",
        texts=column(rows["text"][learned]),
        targets=column(rows["target"][learned]),
        catalogue=[],
        test_texts=column(tested["text"]),
        test_targets=column(tested["target"]),
        groups={
            "in scope": np.flatnonzero(test & ~out),
            "out of scope": np.flatnonzero(test & out),
            "validation": np.flatnonzero(~test),
        },
        unscored=("out of scope", "validation"),
        extras=out_of_scope,
    )


def made_up(size: int) -> Task:
    names, texts, places = synthetic(size, tests=10_000, seed=SEED)
    keys = np.array([f"T{place:06d}" for place in range(size)], dtype=object)
    return Task(
        name=f"synthetic_{size // 1000}k",
        about=f"A made-up catalogue of {size:,} merchants, no training: names abbreviated, "
        "misspelt, cut off and with store codes",
        texts=np.array([], dtype=object),
        targets=np.array([], dtype=object),
        catalogue=[Target(key, name) for key, name in zip(keys, names, strict=True)],
        test_texts=np.array(texts, dtype=object),
        test_targets=keys[places],
        groups={"corrupted names": np.arange(len(texts))},
    )


def chosen(forms: pd.Series, share: float) -> set[str]:
    """Return a seeded share of the distinct texts."""
    distinct = forms.drop_duplicates()
    return set(distinct.sample(frac=share, random_state=SEED))


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def column(values: pd.Series) -> np.ndarray:
    return values.to_numpy(dtype=object)


TASKS: dict[str, Callable[[Path], Task]] = {
    "banking77": banking,
    "clinc150": clinc,
    "sec_names": lambda folder: sec(folder, approved=False),
    "sec_half": lambda folder: sec(folder, approved=True),
    "nsi": brands,
    "synthetic_10k": lambda _: made_up(10_000),
    "synthetic_100k": lambda _: made_up(100_000),
    "toronto": toronto,
    "toronto_names": lambda folder: toronto(folder, names=True),
}
