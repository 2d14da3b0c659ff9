"""The console beyond the front page: clusters, comparison, proposals, pictures; for administrators alone."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from feedback.services import page_seen, search_conclude, selection_set
from search.models import Search
from search.parameter_sets import parameter_set_create, parameter_set_promote
from search.retrieval.descriptors import DESCRIPTORS
from search.retrieval.parameters import ClusterParameters, Parameters
from search.selectors import live_parameter_set
from tests import pictures
from tests.factories import done_search, live_set
from tuning import overview
from tuning.models import ClusterDecision, TuningRun

pytestmark = pytest.mark.django_db

OTHERS = dict.fromkeys(DESCRIPTORS[2:], 0.0)


def weights(general: float, threshold: float) -> ClusterParameters:
    return ClusterParameters({"general": general, "edges": round(1 - general, 4), **OTHERS}, threshold, 0.15)


@pytest.fixture
def page(client: Client, administrator: Any) -> Client:
    client.force_login(administrator)
    return client


def body(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer
    return str(answer.content.decode())


def child(*, clusters: dict[int, ClusterParameters], live: bool = True) -> Any:
    base = live_parameter_set() or live_set()
    content = Parameters(base.unpack().default, clusters, "k1", "d1", "c1")
    made = parameter_set_create(parameters=content, made_by="tuning", reason="Cluster 3 is better.", parent=base)
    if live:
        parameter_set_promote(parameter_set=made, expected=base, actor="tuning run 1", reason=made.reason)
    return made


def judged(owner: Any, *, cluster: int = 3, add: tuple[str, ...] = ()) -> Search:
    """Three marks: M1 is alike as a whole, M2 by its edges, M3 by nothing."""
    rows = [{"general": 0.9, "edges": 0.3}, {"general": 0.4, "edges": 0.9}, {"general": 0.1, "edges": 0.1}]
    similarities = [{**dict.fromkeys(DESCRIPTORS, 0.0), **row} for row in rows]
    search = done_search(owner, scores=[0.85, 0.5, 0.1], threshold=0.8, cluster=cluster, similarities=similarities)
    Search.objects.filter(pk=search.pk).update(clusters_version="k1", image_sha256="q")
    page_seen(search=search, page=1, user=owner)
    for number in add:
        selection_set(search=search, number=number, selected=True, user=owner)
    search_conclude(search=search, kind="done", user=owner)
    search.refresh_from_db()
    return search


def decided(run: TuningRun, cluster: int | None = 3, **values: Any) -> ClusterDecision:
    given = {"searches": 44, "examiners": 3, "pc": 0.19, "dc": 0.3, "ac": 0.5, "action": "weights", "step": 0.03}
    return ClusterDecision.objects.create(run=run, cluster=cluster, **given | {"reason": "Fine-tuned."} | values)


def finished(**values: Any) -> TuningRun:
    given = {"kind": "scheduled", "state": "no_change", "requested_by": "schedule", "finished_at": timezone.now()}
    return TuningRun.objects.create(**given | values)


def test_examiners_are_turned_away_from_every_page(client: Client, examiner: Any) -> None:
    client.force_login(examiner)
    run = finished(state="proposed", proposed=live_set())
    for address in ("clusters/3/", "register/", "compare/", "held-out/1-1.png/"):
        assert "for administrators" in body(client.get(f"/tuning/{address}"), 403)
    answer = client.post(f"/tuning/runs/{run.pk}/decision/", {"decision": "approve", "reason": "Mine."})
    assert answer.status_code == 403
    assert TuningRun.objects.get(pk=run.pk).state == "proposed"


def test_empty_pages_say_what_to_do(page: Client) -> None:
    assert "No finished search yet" in body(page.get("/tuning/compare/"))
    text = body(page.get("/tuning/register/"))
    for words in ("No parameter set is live yet", "No concluded search", "None yet", "No run has decided"):
        assert words in text
    assert "No two examiners have judged the same results yet" in body(page.get("/tuning/"))
    body(page.get("/tuning/clusters/3/"), 404)


def test_evidence_says_in_words_how_much_is_missing(page: Client, examiner: Any, settings: Any) -> None:
    settings.TM_TUNING_MIN_SEARCHES, settings.TM_TUNING_MIN_EXAMINERS = 4, 3
    judged(examiner)
    judged(examiner)
    text = body(page.get("/tuning/"))
    assert "not enough yet: 2 of 4 searches, 1 of 3 examiners" in text
    assert 'max="100" value="33"' in text  # examiners lack more than searches
    settings.TM_TUNING_MIN_SEARCHES, settings.TM_TUNING_MIN_EXAMINERS = 2, 1
    assert "enough: 2 searches by 1 examiner" in body(page.get("/tuning/"))


def test_agreement_stands_on_the_front_page(page: Client, make_user: Any) -> None:
    judged(make_user("erin"), add=("M2",))
    judged(make_user("olaf"))
    text = body(page.get("/tuning/"))
    assert "66.7 %" in text and "of 3 pairs" in text and "2 examiners, 1 query image in" in text


def test_a_cluster_shows_parameters_cut_way_rounds_gate_and_history(
    page: Client, examiner: Any, settings: Any, tmp_path: Path
) -> None:
    settings.TM_HELD_OUT = tmp_path
    (tmp_path / "queries").mkdir()
    for name in ("1-7.png", "2-7.png", "3-7.png", "1-8.png"):
        pictures.mark(3).save(tmp_path / "queries" / name)
    made = child(clusters={3: weights(0.5, 0.6)})
    judged(examiner, add=("M2",))
    deltas = [
        {"name": name, "group": "7", "ap_before": 0.5, "ap_after": 0.5 + (d or 0), "delta": d}
        for name, d in (("1-7.png", -0.2), ("2-7.png", 0.0), ("3-7.png", 0.1), ("gone", 0.3), ("odd", None))
    ]
    figure = {"before": 0.61, "after": 0.63, "difference": 0.02, "low": 0.01, "high": 0.03}
    gate = {"passed": True, "reason": "Not worse.", "metrics": [{"name": "map100", **figure}], "deltas": deltas}
    trials = [[0, [0.4, 0.6], 0.8, 0.1, 0.1], [1, [0.5, 0.5], 0.7, -0.1, 0.1], [2, [0.5, 0.5], 0.6, 0.4, 0.4]]
    run = finished(state="live", proposed=made, base=made.parent)
    decided(run, detail={"trials": trials, "candidates": 192, "gate": gate}, state="accepted")
    later = finished()
    decided(later, action="no_data", step=0.0, pc=None, dc=None, ac=None, reason="Not enough evidence yet.")
    text = body(page.get("/tuning/clusters/3/"))
    for words in (
        "parameters of its own", f"Whole mark: {100 / len(DESCRIPTORS):.1f} % before, 50.0 % after",
            "Threshold: 80.0 % before, 60.0 % after",
        "cut now 60.0 %", "before 80.0 %", "1 added", "<strong>2 of 2</strong>", "0 of 1 ",
        'data-ways="cluster 3"', "round 3: value +0.4000", "Not worse.", "2 of 4 held-out queries gain, 1 lose, 1 stay",
        "1-7.png: 50.0% to 30.0%", "-20.0 points", "/tuning/held-out/2-7.png/", "Not enough evidence yet.",
        f"/tuning/runs/{later.pk}/", f"?a={made.parent_id}&amp;b={made.pk}",
    ):  # fmt: skip
        assert words in text, words
    assert "/tuning/held-out/1-8.png/" not in text  # of another group
    assert "/tuning/held-out/gone/" not in text and "no longer on file" in text


def test_a_cluster_that_rests_keeps_the_way_of_its_last_decision(page: Client) -> None:
    decided(finished(), pc=0.1, dc=0.1, ac=0.1, action="threshold", step=0.0)
    decided(finished(), action="resting", step=0.0, reason="Rests for two weeks.")
    answer = page.get("/tuning/clusters/3/")
    assert "Rests for two weeks." in body(answer)
    assert answer.context["latest"].decision.action == "threshold"


def test_the_scores_are_those_of_the_live_weights_and_of_this_cluster_alone(page: Client, examiner: Any) -> None:
    from tuning.cluster_view import cluster_context

    made = child(clusters={3: weights(0.0, 0.8)})
    judged(examiner, add=("M2",))
    judged(examiner, cluster=5)
    scores = cluster_context(3)["scores"]
    # By edges alone M2 scores 0.9 and M1, kept, 0.3.
    assert (scores["searches"], scores["wanted"], scores["wanted_above"], scores["left_above"]) == (1, 2, 1, 0)
    assert cluster_context(None)["scores"]["searches"] == 1  # cluster 5, which has no parameters of its own
    assert made == live_parameter_set()


def test_a_cluster_of_the_register_shows_its_exemplars(page: Client, register: Any) -> None:
    from tuning.exemplars import clustering_now, exemplars_of

    now = clustering_now()
    assert now is not None and sum(now.shares) == pytest.approx(1.0)
    snapshot = register.searcher().snapshot
    assert now.version == snapshot.clusters.version
    nearest = exemplars_of(range(len(now.shares)), most=1)
    for cluster, (mark,) in nearest.items():
        own = snapshot.table.vectors["general"][snapshot.assignment == cluster]
        best = ((own - snapshot.clusters.centroids[cluster]) ** 2).sum(axis=1).argmin()
        assert snapshot.table.numbers[snapshot.assignment == cluster][best] == mark.number
    text = body(page.get("/tuning/clusters/0/"))
    assert f"/api/marks/{nearest[0][0].number}/thumbnail/" in text
    assert f"{len(now.shares)} clusters without new evidence" in body(page.get("/tuning/"))
    body(page.get(f"/tuning/clusters/{len(now.shares)}/"), 404)


def test_two_sets_rank_a_kept_search_side_by_side(page: Client, examiner: Any) -> None:
    first = child(clusters={3: weights(1.0, 0.8)})
    second = child(clusters={3: weights(0.0, 0.8)})
    search = judged(examiner, add=("M2",))
    answer = page.get("/tuning/compare/", {"a": first.pk, "b": second.pk, "search": str(search.pk)})
    text = body(answer)
    a, b = answer.context["columns"]
    assert [card.result.mark.number for card in a["cards"]] == ["M1", "M2", "M3"]
    assert [card.result.mark.number for card in b["cards"]] == ["M2", "M1", "M3"]
    assert [(card.score, card.preselected, card.moved) for card in b["cards"]] == [
        (pytest.approx(0.9), True, 1), (pytest.approx(0.3), False, -1), (pytest.approx(0.1), False, 0),
    ]  # fmt: skip
    found = answer.context["difference"]
    assert (found.up, found.down, found.preselected, found.chosen, found.chosen_preselected) == (
        1,
        1,
        (1, 1, 0),
        2,
        (1, 1),
    )
    assert "places higher than in A" in text and "pre-selected only here" in text and "both rankings are exact" in text


def test_what_a_search_did_not_keep_makes_lower_places_uncertain(page: Client, examiner: Any) -> None:
    first, second = child(clusters={3: weights(0.5, 0.8)}), child(clusters={3: weights(0.4, 0.8)})
    search = judged(examiner)
    Search.objects.filter(pk=search.pk).update(scanned=5000, parameter_set=first)
    answer = page.get("/tuning/compare/", {"a": first.pk, "b": second.pk, "search": str(search.pk)})
    a, b = answer.context["columns"]
    assert (a["certain"], b["certain"]) == (2, 2)  # the third may have an equal among the others
    text = body(answer)
    assert "kept its 3 best of 5,000 marks" in text and "not certain" in text
    assert "1,000 candidates" in text


def test_a_mark_kept_from_far_below_does_not_lower_what_others_could_score(page: Client, examiner: Any) -> None:
    first = child(clusters={3: weights(0.5, 0.8)})
    search = judged(examiner)
    Search.objects.filter(pk=search.pk).update(scanned=5000, parameter_set=first)
    search.results.filter(rank=3).update(rank=700)
    search.results.filter(rank=2).update(score=0.62)
    answer = page.get("/tuning/compare/", {"a": first.pk, "b": first.pk, "search": str(search.pk)})
    # The unbroken list ends at 62 %: an unknown mark may score as much. M2 has 65 % under these weights, M1 60 %.
    assert answer.context["columns"][0]["certain"] == 1


def test_without_a_choice_the_live_set_is_compared_with_what_was_live_before(page: Client, examiner: Any) -> None:
    first = live_set()
    search = judged(examiner)
    second = child(clusters={3: weights(0.3, 0.7)})
    newer = judged(examiner, cluster=9)  # both sets serve cluster 9 alike: it would show nothing
    answer = page.get("/tuning/compare/")
    assert (answer.context["a"], answer.context["b"], answer.context["search"]) == (first, second, search)
    answer = page.get("/tuning/compare/", {"search": str(newer.pk)})
    assert "nothing moves" in body(answer)


@pytest.mark.parametrize(
    "query", [{"a": "999"}, {"a": "x"}, {"b": "9" * 40}, {"search": "nonsense"}, {"search": "0" * 32}, {"top": "7"}]
)
def test_a_choice_that_is_not_there_falls_back(page: Client, examiner: Any, query: dict[str, str]) -> None:
    judged(examiner)
    answer = page.get("/tuning/compare/", query)
    body(answer)
    assert len(answer.context["notes"]) == (0 if "top" in query else 1)
    assert answer.context["search"] is not None and answer.context["top"] == 24


def test_a_set_of_other_descriptors_is_refused_with_a_sentence(page: Client, examiner: Any) -> None:
    search = judged(examiner)
    other = parameter_set_create(
        parameters=Parameters(live_set().unpack().default, {}, "k1", "d2", "c1"), made_by="x", reason="x", parent=None
    )
    text = body(page.get("/tuning/compare/", {"a": other.pk, "search": str(search.pk)}))
    assert f"P{other.pk} was made for other descriptors" in text and "compare-card" not in text


def test_a_proposal_is_approved_with_a_reason(page: Client) -> None:
    base = live_set()
    made = child(clusters={3: weights(0.5, 0.6)}, live=False)
    run = finished(state="proposed", base=base, proposed=made, reason="Better by 1 point.")
    assert f"Run {run.pk} proposes P{made.pk}" in body(page.get("/tuning/"))
    assert f"Approve P{made.pk}" in body(page.get(f"/tuning/runs/{run.pk}/"))
    address = f"/tuning/runs/{run.pk}/decision/"
    assert page.get(address).status_code == 405
    for form, words in (
        ({"decision": "approve", "reason": "  "}, "say in a few words why"),
        ({"decision": "perhaps", "reason": "Hm."}, "Choose whether"),
    ):
        assert words in body(page.post(address, form, follow=True))
        assert live_parameter_set() == base
    text = body(page.post(address, {"decision": "approve", "reason": "Checked by hand."}, follow=True))
    assert live_parameter_set() == made
    assert f"P{made.pk} is live" in text and "Approve P" not in text
    assert made.events.get().reason == "Checked by hand."
    assert "does not wait" in body(page.post(address, {"decision": "reject", "reason": "No."}, follow=True))
    assert live_parameter_set() == made


def test_a_rejected_proposal_leaves_what_is_live(page: Client) -> None:
    base = live_set()
    run = finished(state="proposed", base=base, proposed=child(clusters={3: weights(0.5, 0.6)}, live=False))
    text = body(page.post(f"/tuning/runs/{run.pk}/decision/", {"decision": "reject", "reason": "Wait."}, follow=True))
    assert "nothing was changed" in text and live_parameter_set() == base
    assert overview.waiting_proposals() == []


def test_a_decision_needs_the_token_of_the_form(administrator: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(administrator)
    run = finished(state="proposed", base=live_set(), proposed=child(clusters={}, live=False))
    answer = strict.post(f"/tuning/runs/{run.pk}/decision/", {"decision": "approve", "reason": "Yes."})
    assert answer.status_code == 403 and TuningRun.objects.get(pk=run.pk).state == "proposed"


def test_rolling_back_from_the_front_page_comes_back_to_it(page: Client) -> None:
    first = live_set()
    second = child(clusters={3: weights(0.5, 0.6)})
    text = body(page.get("/tuning/"))
    address = f"/tuning/parameter-sets/{first.pk}/roll-back/"
    assert f'data-action="{address}"' in text
    assert f'data-action="/tuning/parameter-sets/{second.pk}/roll-back/"' not in text  # it is live
    answer = page.post(address, {"reason": "Complaints.", "sure": "yes", "from": "overview"})
    assert answer.headers["Location"] == "/tuning/"
    assert live_parameter_set() == first


def test_held_out_pictures_are_served_reencoded_and_nothing_else_is(
    page: Client, settings: Any, tmp_path: Path
) -> None:
    settings.TM_HELD_OUT = tmp_path / "held"
    (tmp_path / "held" / "queries" / "deep").mkdir(parents=True)
    pictures.mark(1).save(tmp_path / "held" / "queries" / "deep" / "1-7.png")
    (tmp_path / "held" / "queries" / "2-7.png").write_bytes(b"no picture")
    pictures.mark(1).save(tmp_path / "9-9.png")
    answer = page.get("/tuning/held-out/1-7.png/")
    assert answer.status_code == 200 and answer.content[8:12] == b"WEBP"
    for name in ("2-7.png", "3-7.png", "9-9.png", "*-7.png", "..%2F9-9.png", "..%2f..%2f9-9.png"):
        assert page.get(f"/tuning/held-out/{name}/").status_code == 404


def test_agreement_forgets_what_is_long_past(page: Client, make_user: Any) -> None:
    from feedback.models import Conclusion

    for name in ("erin", "olaf"):
        judged(make_user(name))
    Conclusion.objects.update(at=timezone.now() - timedelta(days=400))
    assert "No two examiners" in body(page.get("/tuning/"))
