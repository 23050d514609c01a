import pytest

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def repeatable():
    torch.manual_seed(0)


class Classifier(torch.nn.Module):
    """Two layers whose fresh normalisations have equal parameters."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 8)
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(8) for _ in range(2))
        self.head = torch.nn.Linear(8, 3)

    def forward(self, x):
        hidden = self.norms[0](self.first(x)).relu()
        return self.head(self.norms[1](hidden))


@pytest.fixture
def classifier():
    return Classifier()


@pytest.fixture
def samples():
    return torch.randn(40, 6), torch.randint(0, 3, (40,))
