from datetime import UTC, datetime

from plugin import stores
from plugin.crm import sync, customers
from plugin.platform import CustomerRecord, StoreProfile, OrderRecord
from plugin.kernel.money import Money

async def test_smoke(app, workspace):
    async with app.db.transaction(workspace) as tx:
        store = await stores.connect(tx, platform="shopify", external_id="a", profile=StoreProfile("A","https://a.example",(),"SAR",None,"UTC","ar",country="SA"))
        t = datetime(2026,1,1,tzinfo=UTC)
        a = await sync.apply(tx, store, [CustomerRecord("1", t, email="A@x.com", phone="0501234567", first_name="محمد", last_name="الأحمد"), OrderRecord("o1", t, "#1001", t, Money(1000,"SAR",2), customer_external_id="1"),
          OrderRecord("o2", t, "#1002", t, Money(500,"SAR",2), email="a@x.com", customer_name="M A")])
        print(a)
        a = await sync.apply(tx, store, [OrderRecord("o2", t, "#1002", t, Money(500,"SAR",2), email="a@x.com", customer_name="M A")])
        assert not a.changes
        for q in ("", "محمد", "احمد", "a@x", "1234567", "0501234567", "+966 50 123 4567", "1001", "#1002", "محمد 1001"):
            page = await customers.search(tx, q)
            print(q, [(c.name, c.email, c.phone, c.orders_count, c.worth()) for c in page.customers])
            assert len(page.customers) == 1
        s = await customers.summary(tx, page.customers[0].id)
        print(s)
