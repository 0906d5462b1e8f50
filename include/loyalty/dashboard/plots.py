"""What is drawn, as plotly figures; colours and fonts are the page's."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

Series = Mapping[str, Sequence[Any]]


def bars(x: Sequence[Any], series: Series) -> Markup:
    """Stacked bars, one colour a series."""
    return _json(go.Figure([go.Bar(x=x, y=y, name=name) for name, y in series.items()], {"barmode": "relative"}))


def lines(x: Sequence[Any], series: Series) -> Markup:
    """Lines from point to point, each series filled down to zero."""
    traces = [go.Scatter(x=x, y=y, name=name, mode="lines+markers", fill="tozeroy") for name, y in series.items()]
    return _json(go.Figure(traces, {"yaxis": {"rangemode": "tozero"}}))


def histogram(values: Sequence[float]) -> Markup:
    """How many values lie where."""
    return _json(go.Figure([go.Histogram(x=values, name="customers", nbinsx=40)], {"bargap": 0.05}))


def _json(figure: go.Figure) -> Markup:
    """JSON that may stand inside an element of HTML."""
    return Markup(figure.to_json().replace("<", "\\u003c"))  # noqa: S704
