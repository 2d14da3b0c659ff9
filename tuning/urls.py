"""Addresses under /tuning/; all of them are for administrators."""

from django.urls import path

from tuning import console, simulated, views

urlpatterns = [
    path("", views.index, name="tuning"),
    path("runs/", views.run_start, name="tuning-run-start"),
    path("runs/<int:run_id>/", views.run_detail, name="tuning-run"),
    path("runs/<int:run_id>/state/", views.run_state, name="tuning-run-state"),
    path("runs/<int:run_id>/decision/", console.proposal_decide, name="proposal-decide"),
    path("clusters/<int:number>/", console.cluster, name="tuning-cluster"),
    path("register/", console.cluster, name="tuning-register"),
    path("simulation/", simulated.page, name="tuning-simulation"),
    path("compare/", console.compare, name="tuning-compare"),
    path("held-out/<str:name>/", console.held_out_picture, name="held-out-picture"),
    path("parameter-sets/<int:set_id>/", views.parameter_set, name="parameter-set"),
    path("parameter-sets/<int:set_id>/roll-back/", views.roll_back, name="parameter-set-roll-back"),
]
