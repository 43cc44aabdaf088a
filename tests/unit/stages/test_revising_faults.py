"""Everything that is wrong with a registry."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.paper import Agreement, Assessment, LegalBasis, Purpose
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.registry import Destination, Policy, Style
from dispatcher.model.text import is_readable
from dispatcher.stages.revising.faults import find_faults
from tests.unit.stages import builders
from tests.unit.stages.builders import (
    connector,
    event_type,
    leaf,
    producer,
    record,
    subscription,
)


def places(**more):
    return [fault.where for fault in find_faults(builders.registry(**more))]


def test_a_sound_registry_has_no_faults():
    assert [] == places()


def test_paper_that_only_closes_a_lane_is_no_fault():
    assert [] == places(connectors=(connector(owner="", destinations=()),))


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "a:b", "-a", "a b", "a" * 65, "a\n"])
def test_a_name_outside_the_grammar_is_a_fault(name):
    assert f"subscription {name!r}: name" in places(subscriptions=(subscription(name),))
    assert f"event type {name!r}: name" in places(event_types=(event_type(), event_type(name)))
    assert f"connector {name!r}: name" in places(connectors=(connector(), connector(name)))


@pytest.mark.parametrize(
    "name", ["order-paid", "order.paid-late", "order..paid", ".order", "order.", "örder", "a\n"]
)
def test_an_event_type_is_named_by_words_with_full_stops_between(name):
    (fault,) = [
        fault
        for fault in find_faults(builders.registry(event_types=(event_type(), event_type(name))))
        if fault.why == "not a name for an event type"
    ]
    assert f"event type {name!r}: name" == fault.where
    assert "order.paid_late" in fault.fix


@pytest.mark.parametrize("name", ["order", "order.paid_late", "2fa.done", "a.b.c", "a" * 64])
def test_a_hierarchy_of_words_names_an_event_type(name):
    assert [] == places(event_types=(event_type(), event_type(name)))


def test_duplicate_names_are_faults():
    assert ["event type 'order.paid': name"] == places(event_types=(event_type(),) * 2)
    assert ["connector 'acme': name"] == places(connectors=(connector(),) * 2)
    assert ["subscription 'acme-orders': name"] == places(subscriptions=(subscription(),) * 2)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"connector": "ghost"}, "connector"),
        ({"purpose": "ghost"}, "purpose"),
        ({"scope": {"ghost": ()}}, "scope 'ghost'"),
        ({"url": "https://user:pw@hooks.acme.example/"}, "url"),
        ({"url": "ftp://hooks.acme.example/"}, "url"),
        ({"url": "https://hooks.acme.example/a/../b"}, "url"),
        ({"rate_per_second": 0.0}, "rate_per_second"),
        ({"rate_per_second": 1e9}, "rate_per_second"),
        ({"body_bytes_max": 1023}, "body_bytes_max"),
        ({"subjects_max": 0}, "subjects_max"),
        ({"records_max": 10**7}, "records_max"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": -1}, "concurrency"),
        ({"concurrency": 1001}, "concurrency"),
        ({"attempt_seconds": 0}, "attempt_seconds"),
        ({"attempt_seconds": float("nan")}, "attempt_seconds"),
        ({"attempt_seconds": float("inf")}, "attempt_seconds"),
        ({"retry_seconds": (5, 0)}, "retry_seconds"),
        ({"retry_seconds": (-1,)}, "retry_seconds"),
        ({"retry_seconds": (10**9,)}, "retry_seconds"),
        ({"retry_seconds": (1,) * 51}, "retry_seconds"),
        ({"scope": {"order.paid": ("$.id", "$.id")}}, "scope 'order.paid' $.id"),
        ({"style": Style.SUMMARY, "scope": {}, "window_seconds": 59}, "window_seconds"),
        ({"style": Style.SUMMARY, "scope": {}, "window_seconds": 86401}, "window_seconds"),
        ({"style": Style.SUMMARY, "scope": {}, "group_min": 1}, "group_min"),
        ({"style": Style.SUMMARY, "scope": {}, "group_min": 1001}, "group_min"),
        ({"window_seconds": 60}, "window_seconds"),
        ({"style": Style.THIN, "group_min": 9}, "group_min"),
        ({"headers": {"X A": "b"}}, "headers 'X A'"),
        ({"headers": {"Host": "evil.example"}}, "headers 'Host'"),
        ({"headers": {"X-A": "b" * 1025}}, "headers 'X-A'"),
    ],
)
def test_a_fault_of_a_subscription_names_its_key(change, key):
    assert [f"subscription 'acme-orders': {key}"] == places(subscriptions=(subscription(**change),))


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("id", "malformed"),
        ("$.ghost", "unknown"),
        ("$.customer", "container"),
        ("$.customer.email", "over_clearance"),
        ("$.customer.token", "secret"),
        ("$.total sum", "out_of_style"),
        ("$.id latest", "out_of_style"),
    ],
)
def test_a_path_that_cannot_be_granted_is_a_fault_with_the_reason(path, word):
    held = builders.registry(subscriptions=(subscription(scope={"order.paid": (path,)}),))
    (fault,) = find_faults(held)
    assert f"subscription 'acme-orders': scope 'order.paid' {path}" == fault.where
    assert f"cannot be granted: {word}" == fault.why
    assert fault.fix


@pytest.mark.parametrize(
    ("grant", "word"),
    [
        ("$.id", "out_of_style"),
        ("@subject", "out_of_style"),
        ("$.id const(1)", "out_of_style"),
        ("$.id sum", "unsuited"),
        ("$.lines[*].qty sum", "many"),
        ("$.rates[*] latest", "many"),
        ("@subject latest", "many"),
        ("$.customer.email latest", "over_clearance"),
        ("$.customer.token latest", "secret"),
    ],
)
def test_a_summary_grants_sums_and_latest_values_of_single_fields_alone(grant, word):
    wanted = subscription(style=Style.SUMMARY, scope={"order.paid": (grant, "$.total sum")})
    (fault,) = find_faults(builders.registry(subscriptions=(wanted,)))
    assert f"subscription 'acme-orders': scope 'order.paid' {grant}" == fault.where
    assert f"cannot be granted: {word}" == fault.why
    assert fault.fix


def test_a_path_outside_the_purpose_is_a_fault():
    held = builders.registry(
        connectors=(connector(clearance=Sensitivity.RESTRICTED),),
        subscriptions=(subscription(scope={"order.paid": ("$.customer.email",)}),),
    )
    (fault,) = find_faults(held)
    assert "cannot be granted: out_of_purpose" == fault.why


def test_a_leaf_without_a_class_is_a_fault_that_names_it():
    kinds = (event_type(schema=record(id=leaf(), note={"type": "string"})),)
    held = builders.registry(
        event_types=kinds, subscriptions=(subscription(scope={"order.paid": ("$.id",)}),)
    )
    (fault,) = find_faults(held)
    assert ("event type 'order.paid': schema $.note", "it has no class") == (fault.where, fault.why)


def test_a_grant_that_no_longer_holds_under_a_new_version_is_a_fault():
    milder = builders.registry(connectors=(connector(clearance=Sensitivity.INTERNAL),))
    assert () == find_faults(milder)
    changed = record(id=leaf(level="restricted"), lines={"type": "array", "items": leaf()})
    held = replace(milder, event_types=(event_type(schema=changed, version=2),))
    of = "subscription 'acme-orders': scope 'order.paid'"
    assert {
        f"{of} $.id": "cannot be granted: over_clearance",
        f"{of} $.lines[*].sku": "cannot be granted: unknown",
    } == {fault.where: fault.why for fault in find_faults(held)}


def test_a_payload_limit_out_of_range_is_a_fault():
    limits = (event_type(payload_bytes_max=0), event_type("b", payload_bytes_max=10**9))
    assert [
        "event type 'order.paid': payload_bytes_max",
        "event type 'b': payload_bytes_max",
    ] == places(event_types=limits)


@pytest.mark.parametrize("most", [-1, 1001])
def test_a_limit_of_subjects_out_of_range_is_a_fault(most):
    kinds = (event_type(subjects_max=most),)
    assert ["event type 'order.paid': subjects_max"] == places(event_types=kinds)


@pytest.mark.parametrize("version", [0, -1, 10**9])
def test_a_version_out_of_range_is_a_fault(version):
    kinds = (event_type(version=version),)
    assert ["event type 'order.paid': version"] == places(event_types=kinds)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"host": "https://x"}, ""),
        ({"host": "*.com"}, ""),
        ({"host": "a.*.com"}, ""),
        ({"host": "1.2"}, ""),
        ({"scheme": "ftp"}, ": scheme"),
        ({"host": "*.co.uk"}, ""),
        ({"host": "*.10.1.2.3"}, ""),
        ({"host": "10.0.0.0/8"}, ""),
        ({"host": "10.20.0.1/16"}, ""),
        ({"host": "127.0.0.0/24"}, ""),
        ({"host": "8.8.8.0/15"}, ""),
        ({"host": "fd00::/47"}, ""),
        ({"private_range": "10.0.0.0/8"}, ": private_range"),
        ({"private_range": "169.254.0.0/16"}, ": private_range"),
        ({"private_range": "x"}, ": private_range"),
        ({"host": "10.20.0.0/16", "private_range": "10.20.0.0/16"}, ": private_range"),
        ({"port": 0}, ": port"),
        ({"port": 65536}, ": port"),
        ({"path_prefix": "in"}, ": path_prefix"),
        ({"path_prefix": "/a/../b"}, ": path_prefix"),
        ({"alias_zones": ("cdn.example", "*.example")}, ": alias_zones"),
        ({"alias_zones": ("192.0.2.1",)}, ": alias_zones"),
        ({"alias_zones": ("a..b",)}, ": alias_zones"),
        ({"alias_zones": ("",)}, ": alias_zones"),
        ({"reason": " "}, ": reason"),
    ],
)
def test_a_fault_of_a_destination_names_host_and_key(change, key):
    entry = Destination(**{"host": "a.example", "reason": "orders"} | change)
    where = f"connector 'acme': destinations {entry.host!r}{key}"
    assert [where] == places(connectors=(connector(destinations=(entry,)),))


def test_plain_http_is_no_fault_it_is_the_allowlist_that_grants_or_closes_it():
    entry = Destination(host="127.0.0.1", reason="a demo", scheme="http", port=9001)
    for port in (9001, 9002):
        assert [] == places(
            connectors=(connector(destinations=(entry,)),),
            subscriptions=(subscription(url=f"http://127.0.0.1:{port}/in"),),
        )


def test_faults_of_a_connector_are_found():
    purposes = (Purpose(name="fulfilment"),) * 2
    assert ["connector 'acme': purposes 'fulfilment'", "connector 'acme': tenants"] == places(
        connectors=(connector(purposes=purposes, tenants=("north", "")),),
        subscriptions=(),
    )


def test_a_tenant_has_a_name_that_fits_on_the_outside_of_a_letter():
    for name, faults in (("ä" * 64, []), ("ä" * 65, ["connector 'acme': tenants"])):
        tenants = ("north", name)
        assert faults == places(connectors=(connector(tenants=tenants),), subscriptions=())


def test_all_faults_are_found_at_once():
    assert 4 == len(
        places(
            event_types=(event_type(), event_type("Bad")),
            subscriptions=(
                subscription(url="x", concurrency=0),
                subscription("other", connector="ghost"),
            ),
        )
    )


@pytest.mark.parametrize("sign", ["\0", "\n", "\x1b", "\x7f", "\x85", "\u202e", "\ud800"])
def test_text_that_a_database_or_a_log_cannot_keep_is_a_fault_wherever_it_lies(sign):
    destination = Destination(host="hooks.acme.example", reason=f"or{sign}ders")
    agreement = Agreement(reference=f"A{sign}1", until=builders.FAR)
    held = connector(
        agreement=agreement, tenants=("north", f"s{sign}"), destinations=(destination,)
    )
    assert [
        "connector 'acme': tenants",
        "connector 'acme': destinations reason",
        "connector 'acme': agreement reference",
    ] == places(connectors=(held,))
    scope = {"order.paid": ("$.id",), f"x{sign}": ()}
    of = "subscription 'acme-orders'"
    assert f"{of}: scope" in places(subscriptions=(subscription(scope=scope),))


def test_a_purpose_that_covers_personal_data_names_its_ground():
    purpose = Purpose(name="fulfilment", categories=(Category.OTHER, Category.CONTACT))
    held = builders.registry(connectors=(connector(purposes=(purpose,)),))
    (fault,) = find_faults(held)
    assert fault.where == "connector 'acme': purposes 'fulfilment': legal_basis"
    assert "contact" in fault.why
    assert "legitimate-interests" in fault.fix


@pytest.mark.parametrize(
    ("paper", "key"),
    [
        ({"agreement": Agreement(reference=" ", until=builders.FAR)}, "agreement reference"),
        (
            {"agreement": Agreement(reference="A", until=builders.FAR, countries=("de",))},
            "agreement countries",
        ),
        (
            {"agreement": Agreement(reference="A", until=builders.FAR, notice_hours=-1)},
            "agreement notice_hours",
        ),
        ({"assessment": Assessment(reference="", until=builders.FAR)}, "assessment reference"),
    ],
)
def test_a_fault_of_a_paper_names_its_key(paper, key):
    assert [f"connector 'acme': {key}"] == places(connectors=(connector(**paper),))


@pytest.mark.parametrize("version", [0, -1, 10_000])
def test_a_version_of_tokens_is_a_number_that_a_token_can_bear(version):
    held = {"connectors": (connector(token_version=version),)}
    assert ["connector 'acme': token_version"] == places(**held)


def test_what_is_about_a_person_is_not_given_a_token_that_needs_no_memory():
    held = builders.registry(
        connectors=(
            connector(
                clearance=Sensitivity.CONFIDENTIAL,
                agreement=Agreement(reference="A", until=builders.FAR),
                purposes=(
                    Purpose(
                        name="fulfilment",
                        categories=(Category.CONTACT,),
                        legal_basis=LegalBasis.CONTRACT,
                    ),
                ),
            ),
        ),
        subscriptions=(subscription(scope={"order.paid": ("$.customer.email siv(email)",)}),),
    )
    (fault,) = find_faults(held)
    assert "vault(...)" in fault.fix


@pytest.mark.parametrize(
    ("policy", "key"),
    [
        (Policy(warn_days=(30, -1)), "warn_days"),
        (Policy(owner_grace_days=10**6), "owner_grace_days"),
        (Policy(proof_days=0), "proof_days"),
        (Policy(countries={"Germany": Sensitivity.PUBLIC, "*": Sensitivity.PUBLIC}), "countries"),
    ],
)
def test_a_fault_of_the_policy_names_its_key(policy, key):
    assert [f"policy: {key}"] == places(policy=policy)


def test_names_of_dispatcher_s_own_are_nobody_s_event_types():
    own = event_type("dispatcher.ownership_challenge")
    assert ["event type 'dispatcher.ownership_challenge': name"] == places(
        event_types=(event_type(), own)
    )


def test_a_field_too_sensitive_for_its_country_is_a_fault_before_it_is_a_closed_lane():
    entry = Destination(host="hooks.acme.example", reason="orders", country="US")
    held = {
        "connectors": (connector(destinations=(entry,), clearance=Sensitivity.CONFIDENTIAL),),
        "event_types": (event_type(schema=record(id=leaf(level="confidential"))),),
        "subscriptions": (subscription(scope={"order.paid": ("$.id",)}),),
    }
    limits = {"DE": Sensitivity.CONFIDENTIAL, "US": Sensitivity.INTERNAL}
    assert ["subscription 'acme-orders': url"] == places(**held, policy=Policy(countries=limits))
    limits["US"] = Sensitivity.CONFIDENTIAL
    assert [] == places(**held, policy=Policy(countries=limits))


def test_a_producer_that_holds_together_has_no_faults():
    one = producer("one", database_roles=("one_app", "One App"), principals=("ada@x",))
    two = producer("two", event_types=("*",), tenants=("*",), database_roles=("two_app",))
    assert [] == places(producers=(one, two))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"event_types": ()}, "event_types"),
        ({"event_types": ("order.lost",)}, "event_types 'order.lost'"),
        ({"tenants": ()}, "tenants"),
        ({"tenants": ("north", " ")}, "tenants"),
        ({"tenants": ("north", "a\n")}, "tenants"),
        ({"database_roles": ("",)}, "database_roles"),
        ({"database_roles": ("r\x1b",)}, "database_roles"),
        ({"database_roles": ("é" * 32,)}, f"database_roles {'é' * 32!r}"),
        ({"principals": ("",)}, "principals"),
        ({"principals": ("a", "a")}, "principals 'a'"),
    ],
)
def test_a_fault_of_a_producer_names_its_key(change, key):
    assert [f"producer 'shop': {key}"] == places(producers=(producer(**change),))


def test_a_producer_has_one_readable_name():
    assert ["producer 'shop': name"] == places(producers=(producer(),) * 2)
    assert ["producer 'role:x': name"] == places(producers=(producer("role:x"),))


@pytest.mark.parametrize("key", ["database_roles", "principals"])
def test_nobody_is_two_producers(key):
    held = builders.registry(
        producers=(producer("one", **{key: ("a", "b")}), producer("two", **{key: ("b",)}))
    )
    (fault,) = find_faults(held)
    assert fault.where == f"producer 'two': {key} 'b'"
    assert fault.why == "claimed 2 times: by 'one', 'two'"
    assert fault.fix


SIGNS = st.text(
    st.one_of(st.characters(), st.sampled_from('\\"nrtub/\n\x00\x7f\x85\u2028\u202e\ud800')),
    max_size=8,
)


@given(SIGNS)
def test_a_text_is_a_fault_exactly_where_it_is_not_readable(text: str):
    held = builders.registry(connectors=(connector(owner=text, contact=f"x{text}"),))
    found = find_faults(held)
    told = {each.where for each in found if "control character" in each.why}
    expected = {"connector 'acme': owner", "connector 'acme': contact"}
    assert told == (set() if is_readable(text) else expected)


GOOD_JWK = '{"kty":"OKP","crv":"X25519","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}'
POINT = '"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"'
NO_POINT = f'{{"kty":"EC","crv":"P-256",{POINT},"y":{POINT[4:]}}}'


@pytest.mark.parametrize(
    ("kid", "jwk"),
    [
        ("k 1", GOOD_JWK),
        ("", GOOD_JWK),
        ("k1", "{"),
        ("k1", "[]"),
        ("k1", '{"kty":"oct","k":"c2VjcmV0"}'),
        ("k1", GOOD_JWK[:-1] + ',"d":"c2VjcmV0"}'),
        ("k1", GOOD_JWK[:-1] + ',"alg":"ECDH-ES"}'),
        ("k1", GOOD_JWK[:-1] + ',"use":"sig"}'),
        ("k1", GOOD_JWK[:-1] + ',"kid":"k2"}'),
        ("k1", GOOD_JWK[:-1] + ',"key_ops":["sign"]}'),
        ("k1", GOOD_JWK[:-1] + ',"x5u":"https://keys.example/"}'),
        ("k1", '{"kty":"OKP","crv":"X25519","x":"AAAA"}'),
        ("k1", '{"kty":"OKP","crv":"Ed25519","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx"}'),
        ("k1", NO_POINT),
        ("k1", NO_POINT.replace("P-256", "secp256k1")),
        ("k1", NO_POINT.replace(POINT[4:], '"!"')),
        ("k1", '{"kty":"RSA","n":"3p7bfXt9wbTTW2HC7OQ1Nz","e":"AQAB"}'),
    ],
)
def test_what_is_no_key_to_encrypt_to_is_a_fault_that_repeats_nothing_of_it(kid, jwk):
    keys = (PartnerKey(kid=kid, jwk=jwk),)
    held = builders.registry(connectors=(connector(keys=keys),))
    faults = find_faults(held)
    assert [f"connector 'acme': keys {kid!r}"] == [fault.where for fault in faults]
    assert not any(part in str(faults) for part in ("c2VjcmV0", "3p7bfXt9", "f83OJ3D2"))


def test_a_good_key_is_no_fault_and_a_grant_may_name_it():
    keys = (PartnerKey(kid="k1", jwk=GOOD_JWK[:-1] + ',"kid":"k1"}'),)
    scope = {"order.paid": ("$.id encrypt(k1)",)}
    wanted = (subscription(scope=scope),)
    assert [] == places(connectors=(connector(keys=keys),), subscriptions=wanted)
    assert ["subscription 'acme-orders': scope 'order.paid'"] == places(subscriptions=wanted)


def test_a_path_granted_twice_is_a_fault_whatever_is_done_with_it():
    scope = {"order.paid": ("$.id", "$['id'] mask(last=1)")}
    where = ["subscription 'acme-orders': scope 'order.paid' $.id"]
    assert where == places(subscriptions=(subscription(scope=scope),))


def test_only_so_many_fields_are_encrypted_one_by_one():
    names = [f"f{number}" for number in range(9)]
    kind = event_type(schema=record(**{name: leaf() for name in names}))
    keys = (PartnerKey(kid="k1", jwk=GOOD_JWK),)

    def found(count: int) -> list[str]:
        grants = tuple(f"$.{name} encrypt(k1)" for name in names[:count])
        return places(
            event_types=(kind,),
            connectors=(connector(keys=keys),),
            subscriptions=(subscription(scope={"order.paid": grants}),),
        )

    assert [] == found(8)
    assert ["subscription 'acme-orders': scope 'order.paid'"] == found(9)
