"""Meanings of fields: who wins, whatever the order."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagitta_server.reviews.candidates import (
    Content,
    Entry,
    accept,
    apply_content,
    own_metadata_candidate,
    record,
    settle_field,
)
from sagitta_server.reviews.enums import ChangedByKind, FieldKind, SemanticSourceStatus, SemanticSourceType, TrustLevel
from sagitta_server.reviews.field_decisions import unlock, write_by_hand
from sagitta_server.reviews.names import expand, norm, similarity
from sagitta_server.reviews.settle import random_id
from sagitta_server.reviews.values import Field, Source

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be busy."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("cust_id", "amount", "order_date", "status", "net_price")
TEXTS = st.one_of(st.none(), st.sampled_from(["one", "two", "three", "One"]))
ENTRIES = st.lists(
    st.builds(Entry, st.sampled_from([*NAMES, "customer_id", "Order Date", "orders_status"]), TEXTS, TEXTS, TEXTS),
    max_size=6,
)
KINDS = st.sampled_from(
    [
        (SemanticSourceType.UPLOADED_FILE, TrustLevel.RECOMMENDED),
        (SemanticSourceType.CONNECTED_DICTIONARY, TrustLevel.TRUSTED),
        (SemanticSourceType.REFERENCE_DATASET, TrustLevel.RECOMMENDED),
        (SemanticSourceType.NEIGHBOR_DATASET, TrustLevel.CANDIDATE),
        (SemanticSourceType.AI_GENERATED, TrustLevel.GENERATED),
    ]
)


def source(name, kind, trust):
    return Source(name, kind, name, name, trust, SemanticSourceStatus.SELECTED, NOW, schema_overlap_score=0.9)


CONTENTS = st.builds(
    lambda name, kind, entries: Content(source(name, *kind), tuple(entries)), st.just("a"), KINDS, ENTRIES
)


def fields(own=None):
    plain = tuple(Field(f"f{n}", name, FieldKind.COLUMN) for n, name in enumerate(NAMES))
    if own is None:
        return plain
    candidate = own_metadata_candidate(random_id, Entry(NAMES[0], *own))
    return (settle_field(record(plain[0], [candidate] if candidate else [], None)), *plain[1:])


def seen(items):
    keep = ("verbose_name", "description", "display_format", "provenance", "source_id", "has_conflict", "needs_review")
    return [tuple(getattr(f, k) for k in keep) for f in items]


def apply(items, *contents):
    for content in contents:
        items = apply_content(items, content, "orders", random_id).fields
    return items


@PATIENT
@given(CONTENTS, CONTENTS, st.one_of(st.none(), st.tuples(TEXTS, TEXTS)))
def test_the_order_of_two_sources_does_not_matter(first, second, own):
    second = replace(second, source=replace(second.source, source_id="b"))
    start = fields(own)
    assert seen(apply(start, first, second)) == seen(apply(start, second, first))


@PATIENT
@given(CONTENTS)
def test_applying_a_source_twice_changes_nothing(content):
    once = apply(fields(), content)
    assert apply(once, content) == once


@PATIENT
@given(CONTENTS, CONTENTS)
def test_manual_and_locked_texts_survive_every_source(first, second):
    start = fields()
    written = (write_by_hand(start[0], {"description": "mine"}), replace(start[1], is_locked=True), *start[2:])
    after = apply(written, first, replace(second, source=replace(second.source, source_id="b")))
    assert (after[0].description, after[0].verbose_name, after[0].provenance) == ("mine", None, "manual_override")
    assert seen([after[1]]) == seen([start[1]])


@PATIENT
@given(CONTENTS, CONTENTS)
def test_what_is_shown_has_a_provenance_and_at_most_one_candidate_is_accepted(first, second):
    for item in apply(fields(), first, replace(second, source=replace(second.source, source_id="b"))):
        assert item.provenance != "unresolved" or not (item.verbose_name or item.description or item.display_format)
        assert sum(c.status == "accepted" for c in item.candidates) <= 1
        assert item.provenance not in {"ai_generated", "fuzzy_inferred"}


def dictionary(name="a", **texts):
    entries = tuple(Entry(field, description=text) for field, text in texts.items())
    return Content(source(name, SemanticSourceType.CONNECTED_DICTIONARY, TrustLevel.TRUSTED), entries)


def test_unlocking_lets_the_next_source_replace_what_was_written_by_hand():
    manual = write_by_hand(fields()[1], {"description": "mine"})
    (after,) = apply((unlock(manual),), dictionary(amount="theirs"))
    assert (after.description, after.provenance) == ("theirs", "dictionary_exact")


def test_a_candidate_the_owner_accepted_stays_until_a_better_tier_comes():
    fuzzy = Content(
        source("n", SemanticSourceType.NEIGHBOR_DATASET, TrustLevel.CANDIDATE),
        (Entry("amounts_total", description="fuzzy"),),
    )
    (item,) = apply((fields()[1],), fuzzy)
    assert (item.provenance, item.needs_review, item.candidates[0].match_type) == ("unresolved", True, "fuzzy")
    accepted = accept(item, item.candidates[0], ChangedByKind.USER)
    assert (accepted.description, accepted.provenance, accepted.confidence_rank) == ("fuzzy", "fuzzy_inferred", 3)
    assert apply((accepted,), fuzzy) == (accepted,)
    (better,) = apply((accepted,), dictionary(amount="exact"))
    assert (better.description, better.provenance) == ("exact", "dictionary_exact")


def test_disagreeing_dictionaries_are_a_conflict_until_the_owner_decides():
    (item,) = apply((fields()[1],), dictionary("a", amount="gross"), dictionary("b", amount="net"))
    assert (item.has_conflict, item.needs_review) == (True, True)
    decided = accept(item, item.candidates[1], ChangedByKind.USER)
    assert (decided.has_conflict, decided.description) == (False, item.candidates[1].proposed_description)
    assert apply((decided,), dictionary("a", amount="gross")) == (decided,)


def test_a_row_that_names_another_table_is_not_ours():
    entry = Entry("amount", description="theirs", table_name="invoices")
    outcome = apply_content(fields(), Content(dictionary().source, (entry,)), "orders", random_id)
    assert (outcome.matched, seen(outcome.fields)) == (0, seen(fields()))


def test_names_that_belong_together_are_alike_and_opposites_are_not():
    for a, b in (
        ("cust_id", "customer_id"),
        ("ctry_cd", "country_code"),
        ("status", "order_status"),
        ("OrderDate", "order_dt"),
    ):
        assert similarity(a, b) >= 0.55, (a, b)
    for a, b in (
        ("min_price", "max_price"),
        ("revenue_eur", "revenue_usd"),
        ("created_at", "updated_at"),
        ("city", "amount"),
    ):
        assert similarity(a, b) < 0.55, (a, b)
    assert norm("Straße  Nr.") == "strasse_nr"
    assert expand("Kundenstädte") == ("kundenstädte",)
    assert norm("Дата Заказа") == "дата_заказа"


@PATIENT
@given(st.text(max_size=20), st.text(max_size=20))
def test_likeness_is_between_nothing_and_equality(a, b):
    assert 0.0 <= similarity(a, b) == similarity(b, a) <= 1.0
