"""Tables of the paper as tests, and the commands around them."""

from eqco.runtime.cpu import sleep_while_waiting
from eqco.runtime.memory import end_without_memory
from eqco.runtime.signals import stop_module_at_once

stop_module_at_once()
end_without_memory()
sleep_while_waiting()  # before a module of this package loads torch
