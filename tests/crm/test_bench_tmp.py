import time
from datetime import UTC, datetime, timedelta
from plugin.crm import sync
from plugin.kernel.money import Money
from plugin.platform import *
import random, orjson

def make(n, base):
    t = datetime(2026,7,1,tzinfo=UTC)
    out=[]
    for i in range(n):
        k=base+i
        raw={"id":k,"line_items":[{"title":"x"*60,"sku":"abc","price":"10.00"} for _ in range(12)],"note":"y"*800}
        out.append(OrderRecord(f"gid://shopify/Order/{k}", t+timedelta(seconds=k), f"#{k}", t, Money(1000+i,"SAR",2), payment_status="paid",
            customer_external_id=f"gid://shopify/Customer/{k%5000}", email=f"user{k%5000}@example.com", phone=f"+9665{k%5000:08d}", customer_name="نورة الأحمد",
            lines=tuple(LineRecord(f"{k}-{j}","Tea",1,Money(500,"SAR",2)) for j in range(2)), raw=raw))
    return out
def people(n, base):
    t = datetime(2026,7,1,tzinfo=UTC)
    return [CustomerRecord(f"gid://shopify/Customer/{base+i}", t, email=f"user{base+i}@example.com", phone=f"+9665{base+i:08d}", first_name="نورة", last_name="الأحمد", created_at=t, raw={"x":"y"*500}) for i in range(n)]

async def run(app, workspace, store, records, size):
    s=time.perf_counter(); c=time.process_time()
    for i in range(0,len(records),size):
        async with app.db.transaction(workspace) as tx:
            await sync.apply(tx, store, records[i:i+size])
    return len(records)/(time.perf_counter()-s), (time.process_time()-c)/len(records)*1e6

from collections import defaultdict
from plugin.kernel.db import Tx
TIMES=defaultdict(float)
_orig=Tx.execute
async def timed(self, st, p=None):
    a=time.perf_counter(); r=await _orig(self, st, p); TIMES[str(st)[:110].replace(chr(10)," ")]+=time.perf_counter()-a; return r
def dump():
    for k,v in sorted(TIMES.items(), key=lambda x:-x[1])[:9]: print("   %.2f"%v,k)
    TIMES.clear()
async def test_bench(app, workspace, store):
    print()
    Tx.execute=timed
    print("warm", await run(app, workspace, store, make(500, 900000), 250)); dump()
    a=time.perf_counter(); await app.db.analyze(); print("analyze", time.perf_counter()-a)
    print("customers new", await run(app, workspace, store, people(5000, 0), 250)); dump()
    print("customers again", await run(app, workspace, store, people(5000, 0), 250)); dump()
    print("orders new", await run(app, workspace, store, make(5000, 10000), 250)); dump()
    o=make(5000,10000)
    print("orders again", await run(app, workspace, store, o, 250)); dump()
    print("orders rows one by one", await run(app, workspace, store, make(200, 50000), 1)); dump()
