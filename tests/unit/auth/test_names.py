from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth import names
from shared.auth.errors import NameNotAllowed

HONEST = [
    *("Asha Rao", "Uday Kotak", "José-María", "Nguyễn Văn", "Łukasz Nowak", "D’Souza", "M.S. Dhoni", "K.L.Rahul"),
    *("आशा देवी", "क़लम", "অমিত সেন", "ஆஷா ரவி", "రాము", "ಕನ್ನಡ ಜನ", "മലയാളം അമ്മ", "ગુજરાતી", "ਪੰਜਾਬੀ", "ଓଡ଼ିଆ"),
    *("ᱥᱟᱱᱛᱟᱲ", "محمد علی", "می\u200cخواهم", "श्री Ganesh", "日本語テスト", "김철수", "Иван Петров"),
    *("Axis Traders", "SBL Homeopathy", "Blood Bank", "Food Bank Kitchen", "Bank Street Cafe", "Bankim Das"),
    *("Sai Security Services", "Computer Systems", "Hair Care Salon", "Self Help Group", "Official Cafe"),
    *("Chai Point ☕", "👨\u200d👩\u200d👧 Family Store", "Cafe @ MG Road", "Expo 2025-2026", "24x7 Store 560001"),
    *("Shop No. 12, Sector 18", "Tea & Co. In Pune", "Dr.Om Prakash", "₹99 Store", "5 Star", "Yahoo!"),
]
ADDRESSES = {
    names.WEB_ADDRESS: [
        *("evil.com", "Pay at www.evil", "https://x", "pay dot com", "bit.ly/x", "192.168.1.1", "चाय.com"),
        *("evil\uff0ecom", "evil\u3002com", "evil.\u217dom"),
    ],
    names.EMAIL_ADDRESS: ["a@b.org", "bob@batua", "chai\uff20point"],
    names.PHONE_NUMBER: [
        *("Call 9876543210", "98765 43210", "+91 98765-43210", "९८७६५४३२१०", "1800 123 4567", "(044) 2345 678"),
    ],
}
PASSING_FOR_ANOTHER = [
    *("Batua", "My Batua", "B a t u a", "b4tu4", "Bat\u0301ua", "B\u0430tu\u0430", "\u1d2e\u1d43\u1d57\u1d58\u1d43"),
    *("Ⓑⓐⓣⓤⓐ", "ᏴᎪᎢᏌᎪ", "बटुआ", "𝐇𝐃𝐅𝐂", "\uff28\uff24\uff26\uff23", "HDFC-Refunds", "HDFC Bank", "Axis Bank", "Axis"),
    *("Yes Bank", "Bank of Baroda", "State Bank", "kotakbank", "SBI", "SBl", "5BI", "PNB Help", "UPI", "बैंक"),
    *("Support", "supp0rt", "$upport", "Support!", "Refund Support", "Help Desk", "Customer Care", "OFFICIAL"),
    *("Admin", "adm1n", "adrnin", "ADMlN", "Admin Team"),
]
TWINS = {
    names.MIXED_SCRIPTS: ["\u0410lice", "A\u056cice", "Chai\u091a\u093e\u092f"],
    names.TWIN: ["\u0391\u039d\u039d\u0391", "𝓐𝓵𝓲𝓬𝓮", "Asha \u0421\u0430\u0440\u0430"],
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_name_is_a_name(name: str) -> None:
    assert names.complaint_about(name) is None


@pytest.mark.parametrize("name", PASSING_FOR_ANOTHER)
def test_a_name_does_not_pass_for_a_bank_or_the_platform(name: str) -> None:
    assert names.complaint_about(name) == names.IMPERSONATION


@pytest.mark.parametrize(
    ("complaint", "name"),
    [(complaint, name) for table in (ADDRESSES, TWINS) for complaint, found in table.items() for name in found],
)
def test_a_name_carries_no_address_and_is_no_twin(complaint: str, name: str) -> None:
    assert names.complaint_about(name) == complaint


@pytest.mark.parametrize(
    ("first_name", "last_name", "field"),
    [("HDFC", "Rao", "first_name"), ("Asha", "Support", "last_name"), ("Bat", "ua", "last_name")],
)
def test_the_field_is_named_and_both_names_are_read_together(first_name: str, last_name: str, field: str) -> None:
    with pytest.raises(NameNotAllowed) as raised:
        names.require_person(first_name, last_name)
    assert [(each.field, each.message) for each in raised.value.errors] == [(field, names.IMPERSONATION)]


@given(st.text(max_size=100))
def test_every_text_gets_an_answer(name: str) -> None:
    names.complaint_about(name)
