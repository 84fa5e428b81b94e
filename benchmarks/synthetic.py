"""Merchants that do not exist, and how a payment terminal would write them.

Words are few and shared, as in real catalogues, so that neighbours are close. How often a word is
damaged is set so that plain TF-IDF cosine finds about 0.88 of 100,000.
"""

import random

DAMAGED = 0.18
LONGEST = 22


def _words(text: str) -> list[str]:
    return text.split()


STARTS = _words("""
    al bar bel bren cal cor dar del dun el fen gal gar hal har kel kin lan lin mar mel mor nor
    or pel ral ros sal san sel sten tal tar tor val van ver wal wes win
""")
MIDDLES = _words("""
    a an ar ber bo den di do en er ga ge i in ka la le li lo ma mi na ne o on ra ri ro sa ta ter
    ti to u va vi
""")
ENDS = _words("""
    bury by dale den field ford gate ham ington land ley low man mere mont more nell ney ra
    ridge rick ro ska son stead sten ster stone ta ton tti ville ward well wick wood worth
""")
FIRSTS = _words("""
    north south east west old new royal grand golden silver green blue red white black happy
    lucky first central city river lake hill valley mountain ocean island sunny crystal diamond
    eagle lion star union national pacific atlantic
""")
TRADES = _words("""
    pizza bakery coffee cafe grill restaurant kitchen market grocery pharmacy dental clinic
    fitness salon barber hardware plumbing electric supply motors garage tire auto parts fuel
    books toys flowers jewelry optical furniture lighting flooring paint printing photo travel
    hotel inn lodge laundry cleaning security legal accounting insurance realty construction
    roofing landscaping storage logistics trucking airlines telecom software computers
    electronics music sports cycles marine pets veterinary
""")
FORMS = _words("""
    inc ltd llc corp group services company holdings
""")
CITIES = _words("""
    toronto seattle london chicago boston denver austin leeds dublin sydney ottawa portland
""")


def synthetic(size: int, tests: int, seed: int) -> tuple[list[str], list[str], list[int]]:
    """Return distinct names, corrupted forms of some, and which name each form is of."""
    dice = random.Random(seed)  # noqa: S311
    names: dict[str, None] = {}
    while len(names) < size:
        names[_name(dice)] = None
    listed = list(names)
    places = [dice.randrange(size) for _ in range(tests)]
    return listed, [corrupt(listed[place], dice) for place in places], places


def corrupt(name: str, dice: random.Random) -> str:
    words = [_damaged(word, dice) for word in name.split()]
    if len(words) > 2 and dice.random() < 0.5:
        words.pop()
    cut = " ".join(words)[:LONGEST].upper()
    return f"{cut}{dice.choice([' #', '*', ' '])}{_code(dice)} {dice.choice(CITIES).upper()}"


def _name(dice: random.Random) -> str:
    words = [_made(dice), dice.choice(TRADES)]
    if dice.random() < 0.4:
        words.insert(dice.randrange(2), dice.choice(FIRSTS))
    if dice.random() < 0.5:
        words.append(dice.choice(FORMS))
    return " ".join(words).title()


def _made(dice: random.Random) -> str:
    middle = dice.choice(MIDDLES) if dice.random() < 0.7 else ""
    return dice.choice(STARTS) + middle + dice.choice(ENDS)


def _damaged(word: str, dice: random.Random) -> str:
    kind = dice.random() / DAMAGED
    if kind < 1 / 3:
        return word[0] + "".join(letter for letter in word[1:] if letter not in "aeiou")
    if kind < 2 / 3:
        return word[: dice.randint(3, 5)]
    if kind < 1:
        place = dice.randrange(len(word))
        return word[:place] + dice.choice("aeiorstln") + word[place + dice.randrange(2) :]
    return word


def _code(dice: random.Random) -> str:
    return "".join(
        dice.choices("0123456789ABCDEFGHJK", (5,) * 10 + (1,) * 10, k=dice.randint(3, 8))
    )
