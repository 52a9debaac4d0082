"""How fast each part of the suite is, beside plain code, the limit and other libraries."""

from eqco.runtime.signals import stop_module_at_once

stop_module_at_once()
