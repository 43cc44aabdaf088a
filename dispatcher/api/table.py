"""Every route of the API, noun by noun."""

from typing import Final

from dispatcher.api import (
    audit,
    change_sets,
    connectors,
    deliveries,
    detokenisations,
    disclosures,
    erasures,
    event_types,
    events,
    explanations,
    findings,
    previews,
    principals,
    producers,
    proofs,
    purges,
    replays,
    revisions,
    subscriptions,
    switches,
    tokens,
    triage,
)
from dispatcher.api.routes import Route

ROUTES: Final[tuple[Route, ...]] = (
    *events.ROUTES,
    *deliveries.ROUTES,
    *replays.ROUTES,
    *disclosures.ROUTES,
    *findings.ROUTES,
    *event_types.ROUTES,
    *triage.ROUTES,
    *purges.ROUTES,
    *connectors.ROUTES,
    *subscriptions.ROUTES,
    *proofs.ROUTES,
    *producers.ROUTES,
    *change_sets.ROUTES,
    *revisions.ROUTES,
    *explanations.ROUTES,
    *previews.ROUTES,
    *switches.ROUTES,
    *detokenisations.ROUTES,
    *erasures.ROUTES,
    *principals.ROUTES,
    *tokens.ROUTES,
    *audit.ROUTES,
)
