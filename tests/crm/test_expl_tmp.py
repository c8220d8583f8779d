from plugin.kernel.db import Tx
from sqlalchemy import text
import importlib.util, pathlib
spec=importlib.util.spec_from_file_location("b", pathlib.Path(__file__).with_name("test_bench_tmp.py")); b=importlib.util.module_from_spec(spec); spec.loader.exec_module(b)
_orig=Tx.execute
SEEN={}
async def ex(self, st, p=None):
    s=str(st)
    for key in ("INSERT INTO customer_terms","INSERT INTO order_lines", "WITH asked AS (SELECT DISTINCT", "SELECT external_id, id, customer_id, version, provisional","INSERT INTO orders", "SELECT external_id, id, version, customer_id, status"):
        if s.strip().startswith(key):
            SEEN[key]=SEEN.get(key,0)+1
            if SEEN[key]==N[0]:
                await _orig(self, text("SAVEPOINT a"))
                r=await _orig(self, text("EXPLAIN (ANALYZE, BUFFERS) "+s), p)
                print("=====",key); print("\n".join(x[0] for x in r.all()))
                await _orig(self, text("ROLLBACK TO SAVEPOINT a"))
    return await _orig(self, st, p)
N=[8]
async def test_x(app, workspace, store):
    Tx.execute=ex
    await b.run(app, workspace, store, b.people(2500,0), 250)
    await b.run(app, workspace, store, b.make(2500,0), 250)
