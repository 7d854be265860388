"""The people and shops of the sample data: how they sign in, their bank accounts, their pots."""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD = "try-batua-now"  # noqa: S105 - printed by `batua seed`; refused in production
PIN = "4711"


@dataclass(frozen=True, slots=True)
class Person:
    """A person with a wallet."""

    first_name: str
    last_name: str

    @property
    def name(self) -> str:
        """What friends read."""
        return f"{self.first_name} {self.last_name}"

    @property
    def email(self) -> str:
        """What they sign in with."""
        return f"{self.first_name.lower()}@example.com"


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop, and what its day is like: rates are visits, prices rupees from and to in steps."""

    name: str
    category: str
    email: str
    visits: float
    """On an ordinary day."""
    weekend: float
    """How many times as many come on Saturdays and Sundays."""
    hours: tuple[int, ...]
    """How busy each of the 24 hours is, compared with the others."""
    companions: tuple[int, ...]
    """How many come and pay together: one of these, each as likely."""
    prices: tuple[int, int, int]
    notes: tuple[str, ...]


PEOPLE = (
    Person("Asha", "Rao"),
    Person("Bilal", "Khan"),
    Person("Chitra", "Iyer"),
    Person("Dev", "Mehta"),
    Person("Esther", "Dsouza"),
)
TEA_SHOP = Shop(
    name="Chai Adda",
    category="Tea and snacks",
    email="chai@example.com",
    visits=14,
    weekend=0.75,
    #      0  1  2  3  4  5  6  7   8   9   10 11 12 13 14 15 16  17  18  19 20 21 22 23
    hours=(0, 0, 0, 0, 0, 1, 6, 12, 14, 10, 7, 4, 3, 3, 3, 5, 10, 14, 13, 8, 4, 2, 1, 0),
    companions=(1, 2, 2, 3, 4),
    prices=(10, 120, 5),
    notes=("Cutting chai", "Two samosas", "Masala chai", "Vada pav", "Filter coffee"),
)
KIRANA = Shop(
    name="Gupta Kirana",
    category="Groceries",
    email="kirana@example.com",
    visits=13,
    weekend=1.6,
    hours=(0, 0, 0, 0, 0, 0, 2, 6, 8, 7, 6, 5, 4, 3, 2, 2, 4, 8, 12, 14, 11, 6, 2, 0),
    companions=(1, 1, 1, 2),
    prices=(40, 800, 10),
    notes=("Atta and dal", "Vegetables", "Milk and eggs", "Rice 5 kg", "Soap"),
)
BOOKSHOP = Shop(
    name="Pustak Ghar",
    category="Books",
    email="books@example.com",
    visits=5,
    weekend=2.4,
    hours=(0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 6, 7, 5, 4, 5, 7, 9, 9, 6, 3, 0, 0, 0),
    companions=(1, 1, 2),
    prices=(150, 950, 25),
    notes=("Godan", "Malgudi Days", "School books", "Train to Pakistan", "A gift"),
)
SHOPS = (TEA_SHOP, KIRANA, BOOKSHOP)
BETWEEN_FRIENDS = ("Movie tickets", "My half of dinner", "Cab home", "Thank you!", "Cricket bat", "Rent share", None)


@dataclass(frozen=True, slots=True)
class Pot:
    """Money that a person sets aside."""

    owner: Person
    name: str
    weekly: int
    """Paise that go into it every week."""


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where a person or a shop has money at a bank: on-ramps come from this bank, withdrawals go to this account."""

    bank: str
    account_number: str
    ifsc: str


POTS = (Pot(PEOPLE[0], "Goa trip", 500_00), Pot(PEOPLE[3], "Rainy day", 250_00))
BANK_ACCOUNTS = {
    PEOPLE[0]: BankAccount("hdfc", "50100012345601", "HDFC0000123"),
    PEOPLE[1]: BankAccount("axis", "917010012345602", "UTIB0000321"),
    PEOPLE[2]: BankAccount("hdfc", "50100012345603", "HDFC0000789"),
    PEOPLE[3]: BankAccount("axis", "917010012345604", "UTIB0000654"),
    PEOPLE[4]: BankAccount("hdfc", "50100012345605", "HDFC0000456"),
    TEA_SHOP: BankAccount("hdfc", "50200012345606", "HDFC0000123"),
    KIRANA: BankAccount("axis", "917020012345607", "UTIB0000321"),
    BOOKSHOP: BankAccount("hdfc", "50200012345608", "HDFC0000456"),
}
