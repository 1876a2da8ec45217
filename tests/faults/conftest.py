import pytest


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=3, help="how often every training run is killed (10 to accept)")


@pytest.fixture(scope="session")
def kills(request):
    # beside other tests the option is unknown: this file is read after the command line
    return request.config.getoption("--kills", 3)
