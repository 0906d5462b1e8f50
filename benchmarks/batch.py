"""The batch cancellation: a run; where wanted its preview, customers who spend meanwhile, runs in a row."""

from collections.abc import Iterator

from batch_run import STORY, case_of, program_of
from customers import FEW, REHEARSAL, make_ledger
from measure import Bench, Measured
from preview import Preview
from repeat import Repeated
from spend import Spending


def cases(bench: Bench, members: int) -> Iterator[Measured]:
    """All of them are about the same customers; runs in a row are measured for themselves."""
    options, program, made = bench.options, program_of(bench.options), "made"
    make_ledger(bench.server, options, made, STORY, members)
    if options.repeat > 1:
        yield Repeated(made, program, options.repeat)
        return
    if "airflow" in options.ways:
        make_ledger(bench.server, options, REHEARSAL, STORY, FEW)
    if options.preview:
        yield Preview(made, program)
    yield case_of(made, program)
    if options.spend:
        yield Spending(made, program)
