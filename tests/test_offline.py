"""The judge without a model: examples by kind, what is no contradiction, and laws that hold for any text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crdtmem.coherence.offline import (
    CERTAIN,
    CONTRADICTION,
    DUPLICATE,
    OPINION,
    REFINEMENT,
    RELATIONS,
    SUSPECT,
    Verdict,
    judged,
    read,
)

CONFLICTS = [
    ("acme.ceo = R. Chen", "acme.ceo = J. Smith", "value", CERTAIN),
    ("The port of gate-3 is 8080.", "gate-3 port: 9090", "numeric", CERTAIN),
    ("status: open", "status: closed", "status", CERTAIN),
    ("The deadline of atlas is 2026-03-01", "atlas.deadline = 1 April 2026", "temporal", CERTAIN),
    ("The house was built in 1820.", "The house was built in 1907.", "temporal", CERTAIN),
    ("Ann was born in Paris.", "Ann was born in Rome.", "entity", CERTAIN),
    ("The stadium has a capacity of 25,000 people.", "Its capacity of 15,000 people is small.", "numeric", CERTAIN),
    ("Deploys are allowed on Friday.", "Deploys are forbidden on Friday.", "antonym", SUSPECT),
    ("The tower is visible from the harbour.", "The tower is hidden from the harbour.", "antonym", SUSPECT),
    ("The launch is on 3 May 2026.", "The launch is on 9 June 2026.", "temporal", SUSPECT),
    ("churn is 3.1%", "churn is 4.7%", "numeric", SUSPECT),
    ("acme.balance = -40", "The balance of acme is 40.", "numeric", CERTAIN),
    ("The customer wants a refund.", "The customer does not want a refund.", "negation", SUSPECT),
    ("Churn rose in March.", "Churn fell in March.", "antonym", SUSPECT),
    ("We use Postgres for orders.", "We use Redis for orders.", "entity", SUSPECT),
    ("Ann owns the billing service.", "Bob owns the billing service.", "entity", SUSPECT),
    ("All tests pass on main", "No tests pass on main", "quantifier", SUSPECT),
    ("All tests pass on main", "Some tests do not pass on main", "quantifier", SUSPECT),
    ("The audit comes before the release.", "The release comes before the audit.", "ordering", SUSPECT),
    ("Atlas is larger than Borea.", "Borea is larger than Atlas.", "ordering", SUSPECT),
    ("The order of Ann is shipped.", "The order of Ann is pending.", "status", CERTAIN),
]


@pytest.mark.parametrize(("one", "other", "kind", "tier"), CONFLICTS)
def test_what_cannot_both_hold_is_found(one: str, other: str, kind: str, tier: str) -> None:
    found = judged(read(one), read(other))
    assert (found.relation, found.kind, found.tier) == (CONTRADICTION, kind, tier)


SURE = [
    ("The house was built in 1820 and has several rooms.", "The house was built in 1907."),
    ("He was born on May 16, 1883, in Boston.", "He was born on December 3, 1883 in Boston."),
    ("Ann was born on July 20, 1985.", "Ann was born in 1981."),
    ("Ann Lee was born on July 20, 1985.", "Ann Lee was born on May 3, 1981."),
    ("The hall has a capacity of approximately 10,000 and is used for various events.", "Its capacity is 25,000."),
    ("The bridge has a length of 300 m.", "The bridge, with a length of over 450 m, is new."),
    ("The show was created by Ann Lee and Bob Reed.", "The show was created by Carl Smith."),
    ("The house was built by Dr. Ann Lee.", "The house was built by Bob Reed, a mason."),
    ("Acme, also known as Apex, is located in Leeds, England.", "Acme is located in Rome, Italy."),
    ("The family lived in the house until 1966.", "The family lived in the house until 1979."),
    ("Ann made her debut for Wales in 2007.", "Ann made her debut for Wales in 2009."),
    ("Ann made her debut for the club in 2004.", "Ann, born in Rome, made her debut for the club in 2008."),
    ("The stars formed around 10 million years ago.", "The stars formed around 100 million years ago."),
    ("Acme was founded in 2001-2002.", "Acme was founded in 2014 and makes pumps."),
    ("His wife, Ann Lee, paints.", "His wife is Cora Smith."),
    ("She is married to the painter Bob Reed.", "Ann Lee is married to Carl Smith."),
    ("The mill was designed by engineer Ann Lee.", "The mill was designed by Bob Reed in 1902."),
    ("Ann was buried in Oslo, Norway.", "Ann was buried in Leeds, England."),
    ("Ann began her singing career in the early 1960s.", "She began her singing career in 1981, in a bar."),
    ("Ann started her career as a nurse.", "In Rome, Ann began her career as a barber and cook."),
    ("Ann made her stage debut with the play Medea in 1988.", "Ann made her stage debut in 1994."),
    ("In 1907, the mill was sold to the Reed family.", "The mill was sold to the Reed family in 1931."),
    ("In 2009 Ann was hurt. In 2011, she left Rovers to rest.", "Ann left Rovers in 2014."),
    ("Ann joined Acme Labs in the spring of 2016.", "Ann joined Acme Labs in 2019."),
    ('Her novel "Deep Water" was published in 1961.', '"Deep Water" was published in 1967 by a small press.'),
    (
        "The Reed Bridge was opened to the public in 1884.",
        "In 1902, the bridge was opened, and the ferry at its foot was sold to a farmer.",
    ),
    ("Ann has worked at the mill since 2004.", "Ann, a cook, has worked at the mill since 2011."),
    ("It is told by Viola (played by Ann Lee).", "Viola, played by Bob Reed, is kind."),
    ("Her first film was Stormy Weather.", "Her first film was The Long Road, a comedy."),
    ("Ann is a retired judge.", "Ann is a judge who currently presides over the court of Rome."),
    ("She received her doctorate in law from Bonn University.", "She has a PhD in botany from Bonn University."),
    ("He earned his law degree in 1950.", "He earned his law degree from Yale in 1957."),
    ("At Kyoto University, Ann earned a degree in law.", "Ann earned a degree in botany from Kyoto University."),
    ('She made her stage debut in "Medea" in 1988.', "She made her stage debut in 1994."),
    ("The mill was built in the early 1800s.", "The mill was built in 1871."),
    ("Ann began her singing career in the early 1990s.", "Ann began her singing career in the early 2000s."),
    ("His wife, Ann Lee, has been ill since 2005.", "His wife is Cora Smith since 2016."),
    ("It was a school until 1931, when it was sold to the Reed family.", "It was sold to the Reed family in 1907."),
    ("She published Deep Water in 1961.", '"Deep Water" was published in 1967.'),
    ("Ann was inducted into the Rome Academy in 1990.", "Ann was inducted into the Rome Academy in 1994."),
    ("Ann passed away in May 1990 at the age of 81.", "Ann died at age 76 in Rome."),
    (
        "Ann was hired as a cook by Acme Labs in 1990.",
        "A friend of Bob, Ann was hired as a driver by Acme Labs in 1990.",
    ),
    ("The play stars Ann Lee as Viola.", "With a new cast, the play has Bob Reed as Viola."),
    ("It has Ann Lee as Viola, a young cook.", "Viola, played by Bob Reed, is kind."),
    ("Ann was born in Ohio.", "Ann was born in Austin, Texas."),
    ("Ann was born in Norway.", "Ann was born in Lima, Peru."),
    ("The Reed Inn is an old inn in Austin, Texas.", "The Reed Inn is located in Salem, Oregon."),
    ("The manual is divided into three sections.", "The manual is divided into five parts."),
    ("The suite consists of four dances.", "The suite for Olga consists of six dances."),
    ("The park covers over 300 hectares.", "The park covers an area of more than 900 hectares."),
    ("Bonn is the largest city in the valley.", "Bonn is the second largest city in the valley."),
    ("The play received mostly positive reviews.", "The play received generally negative reviews."),
    ("The play received mostly positive reviews.", "The play received mixed reviews from those who saw it."),
    ("It borders Rome, Ostia, Tivoli, Gaeta and Anzio.", "It borders Rome, Ostia, Tivoli, Gaeta and Terni."),
]


@pytest.mark.parametrize(("one", "other"), SURE)
def test_what_has_room_for_one_value_is_certain(one: str, other: str) -> None:
    found = judged(read(one), read(other))
    assert (found.relation, found.tier) == (CONTRADICTION, CERTAIN)


UNSURE = {
    "one exactly, one less so": [
        ("The capacity is over 100.", "The capacity is over 200."),
        ("Ann is based in Rome.", "Ann is based in Italy."),
        ("Ann is based in Leeds, England.", "Ann is based in Yorkshire."),
        ("He helped to found Methodism and was born in Gloucester.", "He was born in Gloucestershire."),
        ("The API server is located in Frankfurt.", "The API server is located in eu-central-1."),
        ("It was built in 1820 by Ann Lee.", "It was built in the early 19th century."),
        ("Ann began her career as an artist.", "Ann began her career as a sculptor."),
        ("Ann began her career as a journalist.", "Ann began her career as a photojournalist."),
        ("Ann began her career in the 1960s.", "Ann began her career in 1964."),
        ("She has a PhD in law.", "She has her PhD in civil law."),
        ("Her doctorate is from Bonn University.", "She received her doctorate from the University of Bonn."),
        ("Viola, played by Ann Lee and Bob Reed, is kind.", "It is told by Viola (played by Bob Reed)."),
        ("The mill was built in the early 19th century.", "The mill was built in 1836."),
        ("Ann was born in Kansas.", "Ann was born in Kansas City."),
        ("Ann was born in Kansas City.", "Ann was born in Independence, Missouri."),
        ("Ann was born in Ohio.", "Ann was born in Germantown."),
        ("The park covers over 300 hectares.", "The park covers over 500 hectares."),
        ("The play received mostly positive reviews.", "The play received mostly kind reviews."),
        ("It borders Rome, Ostia, Tivoli and Gaeta.", "It borders Rome, Ostia, Tivoli, Gaeta and Terni."),
        ("Ann was hired as an artist by Acme Labs in 1990.", "Ann was hired as a painter by Acme Labs in 1990."),
        ("The capacity is over -20.", "The capacity is over -30."),
    ],
    "other things": [
        ("The report was written by Ann.", "The summary was written by Bob."),
        ("The parser was written by Ann.", "The parser tests were written by Bob."),
        ("It is the home of Rovers, a club based in Rome.", "The stadium of the club is based near Ostia."),
        ("The east wing was built in 1820.", "The west wing was built in 1907."),
        ("Marketing has a budget of 5000 EUR.", "Sales has a budget of 7000 EUR."),
        ("Service A is owned by team Red.", "Service B is owned by team Blue."),
        ("He was born in Paris.", "She was born in Rome."),
        ("Ann met the author Bob Reed.", "Ann met the author Carl Smith."),
        ("Ann began her acting career in 1990.", "Ann began her teaching career in 2001."),
        ("Ann made her debut for Wales in 2007.", "Ann made her debut against Cardiff in 2004."),
        ("Ann made her full debut for the first team in 2007.", "Ann made her full debut in 2004."),
        ("Ann made her league debut with Rovers in 2007.", "Ann made her league debut with United in 2004."),
        ("The mill was sold to the Reed family in 1907.", "The mill was sold to the Lee family in 1931."),
        ("The kitchen has been kept as a store since 2004.", "The cellar has been kept as a store since 2011."),
        ('"Deep Water" was published in 1961.', '"High Water" was published in 1967.'),
        ("Version 2 was released in 2020.", "Version 3 was released in 2022."),
        ("Viola is played by Ann; Olivia, played by Ann Lee, is rich.", "Viola, played by Bob Reed, is kind."),
        ("He earned his law degree in 1950.", "He earned his music degree in 1957."),
        ("The mill was painted in the bright Tuscan style.", "The mill was painted in a Victorian style in 1907."),
        ("Ann lives in a house built in a bold Doric style.", "The house is built in the old Roman town of Trier."),
        ("The play stars Ann Lee as Viola.", "The play stars Bob Reed as Orsino."),
        ("Bonn is the largest city in the valley.", "Bonn is the second largest city in the country."),
        (
            "Bonn is near Trier, which is the largest city in the valley.",
            "Bonn is the third largest city in the valley.",
        ),
        ("The park covers 300 hectares.", "The garden of the park covers 20 hectares."),
        ("The manual is divided into three sections.", "The manual is divided into ninety rules."),
        ("The play received mostly positive reviews.", "The play received mostly negative letters."),
        ("Ann is a judge in Austin, Texas.", "Bob is a judge in Salem, Oregon."),
    ],
    "several": [
        ("The offices are located in Rome.", "The offices are located in Paris."),
        ("The company also has an office based in Rome.", "The company has an office based in Paris."),
        ("Ann built 3 ships.", "Ann built 5 boats."),
        ("After her debut Ann moved to Rome in 2004.", "After her debut Ann moved to Rome and to Oslo in 2008."),
        ("Ann retired from football in 2011.", "Ann retired from acting in 2015."),
        ("Ann made her debut for Wales in 2007.", "Ann made her debut for Cardiff in 2004."),
        ("Ann earned a degree from Yale in 1950.", "Ann earned a degree from Yale in 1957."),
        ("Ann has a master's degree in law.", "Ann has a master's degree in botany."),
        ("Ann is a painter and former judge.", "Ann is a painter who currently lives in Rome."),
        ("Ann knows Rome, Ostia, Tivoli and Gaeta, among others.", "Ann knows Rome, Ostia, Tivoli and Terni."),
        ("Ann met Rita, Olga, Tom and Carl.", "Ann met Rita, Bob, Dora and Emil."),
        ("The play received positive reviews.", "The play received negative reviews."),
        ("The play stars Ann Lee as Herself.", "The play stars Cora Smith as Herself."),
        ("Acme hired a cook in Rome in 1990.", "Acme hired a driver in Rome in 1990."),
        ("The class split into three groups.", "The class split into five groups."),
        ("Ann met Rita, Olga, Tom and Carl.", "Ann met Rita, Olga, Tom and Dora."),
    ],
    "other times": [
        ("The nightly job started on 3 May 2026.", "The nightly job started on 4 May 2026."),
        ("The house was owned by Ann.", "The house is owned by Bob."),
        ("The price was 10 EUR.", "The price is 12 EUR."),
        ("The price of tea was 10 EUR.", "The price of tea is 12 EUR."),
        ("Population was 5000 in 1990.", "Population was 9000 in 2020."),
        ("Wales made Ann captain at the age of 20.", "Ann began to paint at the age of 8."),
        ("Ann joined the Standup on 3 May 2026.", "Ann joined the Standup on 4 May 2026."),
        ("The Backup was completed on 3 May 2026.", "The Backup was completed on 4 May 2026."),
        (
            "It was shut for repairs until 3 May 2026, as planned.",
            "It was shut for repairs until 9 June 2026, too long.",
        ),
        ("Ann left Rovers before the war in 1939.", "Ann left Rovers in 1931."),
        ("Ann is a former judge.", "Ann was a judge in Rome."),
        ("Ann did not join Acme in 2004; she joined Acme in 2009.", "Ann almost joined Acme in 2004."),
        ("Ann was elected as a deputy for Rome in 1990.", "Ann was elected as a senator for Rome in 1994."),
        ("Ann died at the age of 81.", "Ann met Bob at the age of 40, before he died."),
        ("Ann met Bob in Rome in 1990.", "Ann met Bob in Oslo in 1994."),
        ("Ann was a judge in Austin, Texas.", "Ann was a lawyer in Salem, Oregon."),
    ],
    "other cases": [
        ("The ticket price is 20 EUR for adults.", "The ticket price is 10 EUR for children."),
        ("The weight of the package is 2 kg without the lid.", "The weight of the package is 3 kg with the lid."),
    ],
}


@pytest.mark.parametrize("why", UNSURE)
def test_what_may_both_hold_after_all_is_never_certain(why: str) -> None:
    sure = [pair for pair in UNSURE[why] if judged(*map(read, pair)).tier == CERTAIN]
    assert sure == []


LONG = (
    "The company raised its dividend to $0.13 a share in March, opened two offices in Norway, and expects sales of its "
    "new pumps to grow because customers in the mining industry have started to replace their old equipment."
)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("$0.13", "$0.15", "numeric"),
        ("in March", "in April", "temporal"),
        ("Norway", "Sweden", "entity"),
        ("opened", "closed", "antonym"),
        ("expects", "does not expect", "negation"),
    ],
)
def test_of_two_versions_of_a_text_the_difference_counts(old: str, new: str, kind: str) -> None:
    assert old in LONG
    found = judged(read(LONG), read(LONG.replace(old, new)))
    assert (found.relation, found.kind) == (CONTRADICTION, kind)


def test_of_two_versions_of_a_text_other_words_for_the_same_do_not() -> None:
    other = LONG.replace("started", "commenced").replace("raised", "increased").replace("customers", "clients")
    assert judged(read(LONG), read(other)).relation == DUPLICATE


FINE = [
    ("The port of gate-3 is 8080.", "The port of gate-4 is 9090."),
    ("tag: red", "tag: blue"),
    ("Sprint 12 velocity is 30 points", "Sprint 13 velocity is 34 points"),
    ("Revenue was 5 million in March 2024.", "Revenue was 6 million in April 2024."),
    ("Revenue was 5 million.", "Profit was 6 million."),
    ("The payment service is located in Paris.", "The billing service is located in Rome."),
    ("churn is 3.1%", "churn was 3.1 percent"),
    ("The queue held about 100 jobs.", "The queue held 104 jobs."),
    ("Is the port 80?", "Is the port 81?"),
    ("Ann reviewed the plan for atlas-1.", "Ann reviewed the plan for atlas-2."),
    ("Bob has worked on films such as Jaws.", "Bob has worked on films such as Alien."),
    ("It took 2 km.", "It took 2,000 meters."),
    ("It is over 19th century mills.", "It is under 19th century roofs."),
    ("", "x"),
]


@pytest.mark.parametrize(("one", "other"), FINE)
def test_what_may_both_hold_is_left_alone(one: str, other: str) -> None:
    assert judged(read(one), read(other)).relation != CONTRADICTION


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        ("The sky is wide.", "the sky, is wide", DUPLICATE),
        ("The house has a large red door.", "The house has a large red door and a garden.", REFINEMENT),
        ("I think the plan is fine.", "The plan is fine.", OPINION),
    ],
)
def test_other_relations(one: str, other: str, relation: str) -> None:
    assert judged(read(one), read(other)).relation == relation


def test_a_hedge_is_never_certain() -> None:
    sure = judged(read("The house was built in 1820."), read("The house was built in 1907."))
    hedged = judged(read("The house was possibly built in 1820."), read("The house was built in 1907."))
    assert (sure.tier, hedged.tier) == (CERTAIN, SUSPECT)


SENTENCES = [side for row in CONFLICTS for side in row[:2]] + [LONG]
SENTENCES += [side for pair in (*FINE, *SURE, *(pair for some in UNSURE.values() for pair in some)) for side in pair]
TEXTS = st.one_of(
    st.sampled_from(SENTENCES),
    st.text(max_size=120),
    st.lists(
        st.sampled_from(
            [
                "the",
                "port",
                "of",
                "gate-3",
                "is",
                "not",
                "80",
                "81",
                "open",
                "closed",
                "in",
                "1985",
                "1990",
                "Ann",
                "Bob,",
                "and",
                "was",
                "born",
                ":",
                "=",
                "%",
            ]
        ),
        max_size=25,
    ).map(" ".join),
)


def mirrored(verdict: Verdict) -> Verdict:
    return verdict._replace(mine=verdict.theirs, theirs=verdict.mine)


@given(TEXTS, TEXTS)
@example("a b c d e f g h i j k l m n o p", "a b c d e f g h i j k l m n o q")
def test_a_verdict_does_not_depend_on_which_comes_first(one: str, other: str) -> None:
    found = judged(read(one), read(other))
    assert mirrored(judged(read(other), read(one))) == found
    assert found.relation in RELATIONS
    assert (found.tier in (CERTAIN, SUSPECT)) == (found.relation == CONTRADICTION)


@given(TEXTS)
def test_nothing_contradicts_itself(text: str) -> None:
    assert judged(read(text), read(text)).relation != CONTRADICTION


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.sampled_from(["port", "limit", "seats", "quota"]))
def test_two_numbers_for_one_thing_conflict_exactly_when_they_differ(one: int, other: int, what: str) -> None:
    found = judged(read(f"gate-3.{what} = {one}"), read(f"The {what} of gate-3 is {other}."))
    assert (found.relation == CONTRADICTION) == (one != other)


def test_texts_of_the_largest_size_are_compared_in_good_time() -> None:
    words = [f"word{n}" for n in range(200)]
    one, other = " ".join(words)[:1200], " ".join(reversed(words))[:1200]
    assert judged(read(one), read(other)).relation in RELATIONS
