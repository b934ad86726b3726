"""A page's own `fetch` gets outputs of all sizes whole."""

import pytest

from runcast import Store
from tests.helpers.browser import Person
from tests.integration.web.test_matrix import sized_outputs

pytestmark = [pytest.mark.slow, pytest.mark.browser]

FETCH = """
async (paths) => {
  const found = [];
  for (const path of paths) {
    const reply = await fetch(path, { headers: { Accept: "text/plain" } });
    found.push(await reply.text());
  }
  return found;
}
"""


def test_fetch(person: Person, store: Store):
    """What it has in the end is what the run has said, to the byte."""
    outputs = sized_outputs(store)
    found = person.open("/healthz").evaluate(FETCH, [f"/runs/{run_id}/log" for run_id in outputs])
    assert found == list(outputs.values())
