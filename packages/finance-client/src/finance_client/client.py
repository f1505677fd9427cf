"""One company's books, subject by subject."""

import random
import time
from collections.abc import Callable
from uuid import uuid4

import urllib3

from finance_client.accounts import Accounts
from finance_client.bank import Bank
from finance_client.closing import Closing
from finance_client.company import Company
from finance_client.documents import Documents
from finance_client.door import Door, Retry
from finance_client.exports import Exports
from finance_client.invoices import Invoices
from finance_client.journals import Journals
from finance_client.payments import Payments
from finance_client.reports import Reports
from finance_client.taxes import Taxes
from finance_client.templates import Templates
from finance_client.vouchers import Vouchers


class Finance:
    """One company's books, as whoever the token is of: `finance.invoices.create(...)`, `finance.reports.ageing(...)`.

    Every method raises `Refused` when the rules say no, `Unavailable` when the service does not answer, `Unreadable`
    when it is not understood. A command takes a `key`, one for each change; without it one is made, and kept over all
    attempts. Its `rehearse` takes the same and tells what it would write. Threads may share one.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        *,
        retry: Retry | None = None,
        timeout_s: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
        new_key: Callable[[], str] = lambda: str(uuid4()),
        pool: urllib3.PoolManager | None = None,
    ) -> None:
        door = Door(
            url=url.rstrip("/"),
            token=token,
            sleep=sleep,
            chance=chance,
            new_key=new_key,
            retry=retry or Retry(),
            timeout_s=timeout_s,
            pool=pool or urllib3.PoolManager(),
        )
        self.accounts = Accounts(door)
        self.invoices = Invoices(door)
        self.vouchers = Vouchers(door)
        self.payments = Payments(door)
        self.documents = Documents(door)
        self.journals = Journals(door)
        self.templates = Templates(door)
        self.bank = Bank(door)
        self.taxes = Taxes(door)
        self.company = Company(door)
        self.closing = Closing(door)
        self.reports = Reports(door)
        self.exports = Exports(door)
