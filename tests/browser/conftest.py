"""One driver and one Chromium of each kind for all files of a worker; what is fresh for each test is its context."""

from tests.browser.chrome import browser as browser
from tests.browser.chrome import playwright as playwright
from tests.browser.chrome import strict_chromium as strict_chromium
