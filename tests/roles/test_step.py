"""The journal's form of a step: what goes in comes out, byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from headway.roles.step import Input, Output, pack_inputs, pack_outputs, unpack_inputs, unpack_outputs

names = st.text(min_size=0, max_size=12)
bodies = st.binary(max_size=200)
inputs = st.builds(Input, names, names, st.integers(0, 2**62), st.integers(0, 2**40), names, bodies)
outputs = st.builds(
    Output, names, st.lists(names, max_size=3).map(tuple), names, bodies, st.integers(0, 2**62)
)


@given(st.lists(inputs, max_size=6))
def test_inputs_come_back_as_they_went_in(batch: list[Input]) -> None:
    assert unpack_inputs(pack_inputs(batch)) == batch


@given(st.lists(st.tuples(st.integers(1, 2**40), outputs), max_size=6))
def test_outputs_come_back_as_they_went_in(batch: list[tuple[int, Output]]) -> None:
    assert unpack_outputs(pack_outputs(batch)) == batch


def test_a_body_with_newlines_and_brackets_does_not_confuse_the_frames() -> None:
    tricky = Input("a", "b", 1, 2, "k", b'\n["x",3]\n\n')
    assert unpack_inputs(pack_inputs([tricky, tricky])) == [tricky, tricky]
