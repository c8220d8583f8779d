// A return or an exchange, step by step: what, what for, what comes back, and sent. The server judges and counts.
import { useEffect, useRef, useState } from "preact/hooks";
import { Made, Return } from "./made.jsx";
import { Goods, Row, Sum } from "./pieces.jsx";
import { ask } from "./server.js";
import { field, missing, NO_WAY, said as toldWay, Ways } from "./way.jsx";
import { apart, date, money, t } from "./words.js";

const SLOW = 4000;

/**
 * @typedef {{words: string, act: () => void, busy?: boolean}} Button
 * @typedef {{children: import("preact").ComponentChildren, primary?: Button, secondary?: Button}} Framed
 * @typedef {import("./pieces.jsx").Amount} Amount
 * @typedef {import("./made.jsx").Known} Known
 * @typedef {{code: string, words: string, photo: boolean, children: Reason[]}} Reason
 * @typedef {{id: string, title: string, variant: string, picture: string, most: number, why_not: string, until: string | null, resolutions: string[], reasons: Reason[], conditions: {code: string, words: string}[], photo: boolean, instead: {id: string, title: string, price: Amount}[]}} Line
 * @typedef {{lines: Line[], resolutions: Record<string, string>, ways: {code: string, words: string}[], days: string[], keeps: boolean}} Offer
 * @typedef {{id: string, name: string}} Photo
 * @typedef {{quantity: number, reason: string, words: string, kept: string[], instead: string, photos: Photo[]}} Chosen
 * @typedef {{digest: string, refused: {line: string, words: string}[], lines: {id: string, quantity: number, goods: Amount}[], restocking?: Amount, shipping?: Amount, delivery?: Amount, cash?: Amount, credit?: Amount, bonus?: Amount, owed?: Amount, capped: boolean, keep: boolean, review: boolean}} Decision
 */

/** @param {Reason[]} reasons @returns {Reason[]} */
const leaves = (reasons) => reasons.flatMap((one) => (one.children.length > 0 ? leaves(one.children) : [one]));

/** @type {Chosen} */
const NOTHING = { quantity: 0, reason: "", words: "", kept: [], instead: "", photos: [] };
const MOST_PHOTOS = 5;
/** The shop changed its ways back since they were shown. */
const WAYS_REFUSED = ["method", "pickup_day", "place"];

/** Begin a return, whatever else there is. */
export const NEW = "new";

/**
 * @param {{order: string, Frame: (props: Framed) => any, leave?: () => void, first?: string}} props `order` is Shopify's
 * id of it; `Frame` puts the step and its buttons where they belong; `leave` closes it where nothing else does; `first`
 * is the return to look at, or NEW. Without it the newest return is shown, and where there is none one is begun.
 */
export function Flow({ order, Frame, leave, first = "" }) {
  const [step, setStep] = useState("loading");
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const [slow, setSlow] = useState(false);
  const [id, setId] = useState("");
  const [returns, setReturns] = useState(/** @type {Known[]} */ ([]));
  const [looked, setLooked] = useState("");
  const [offer, setOffer] = useState(/** @type {Offer | null} */ (null));
  const [chosen, setChosen] = useState(/** @type {Record<string, Chosen>} */ ({}));
  const [wish, setWish] = useState("");
  const [way, setWay] = useState(NO_WAY);
  const [decision, setDecision] = useState(/** @type {Decision | null} */ (null));
  const [number, setNumber] = useState("");
  // One for each return: a second press, or an answer that got lost, makes no second one.
  const client = useRef(crypto.randomUUID());
  const going = useRef(0);

  /** @param {() => Promise<void>} work */
  const during = async (work) => {
    going.current += 1;
    setBusy(true);
    setTrouble("");
    const timer = setTimeout(() => setSlow(true), SLOW);
    try {
      await work();
    } catch (error) {
      setTrouble((error instanceof Error && error.message) || t("failed"));
    } finally {
      clearTimeout(timer);
      going.current -= 1;
      if (going.current === 0) {
        setSlow(false);
        setBusy(false);
      }
    }
  };
  /** The same, unless something is being done: of two quick presses the second is none. @param {() => Promise<void>} work */
  const only = async (work) => {
    if (going.current === 0) await during(work);
  };
  /** @param {string} found our id of the order */
  const begin = async (found) => {
    client.current = crypto.randomUUID();
    setChosen({});
    setWish("");
    setWay(NO_WAY);
    setNumber("");
    setOffer(null);
    setStep("items");
    setOffer(await ask(`/orders/${found}/offer`));
  };
  const load = () =>
    only(async () => {
      const found = id || (await ask(`/order?id=${encodeURIComponent(order)}`)).id;
      setId(found);
      if (step === "items") return begin(found);
      const { returns: made } = await ask(`/orders/${found}`);
      setReturns(made);
      if (first === NEW || made.length === 0) return begin(found);
      setLooked(first || made[0].id);
      setStep("made");
    });
  useEffect(() => void load(), []);

  const again = { words: t("again"), act: () => void load() };
  const close = leave && { words: t("close"), act: leave };
  /** @param {string} one */
  const look = (one) => (setTrouble(""), setNumber(""), setLooked(one), setStep("made"));
  const leaving = looked ? { words: t("back"), act: () => look(looked) } : close;
  const wait = slow ? <s-text color="subdued">{t("slow")}</s-text> : null;
  const said = trouble ? <s-banner tone="critical">{trouble}</s-banner> : null;
  if (step === "made")
    return (
      <Made
        key={looked}
        id={looked}
        number={number}
        others={returns.filter((one) => one.id !== looked)}
        busy={busy}
        notices={[said, wait]}
        during={during}
        only={only}
        look={look}
        seen={({ id: one, state }) => setReturns((all) => all.map((known) => (known.id === one ? { ...known, state } : known)))}
        anew={() => void only(() => begin(id))}
        Frame={Frame}
        leave={close}
      />
    );
  if (!offer)
    return (
      <Frame primary={trouble ? again : undefined} secondary={leaving}>
        {said ?? <s-skeleton-paragraph content={t("loading")} />}
        {wait}
      </Frame>
    );

  const able = offer.lines.filter((line) => line.most > 0);
  const lines = able.filter((line) => (chosen[line.id]?.quantity ?? 0) > 0);
  /** @param {string} id @param {Partial<Chosen>} part */
  const keep = (id, part) => setChosen((all) => ({ ...all, [id]: { ...NOTHING, ...all[id], ...part } }));
  /** @param {Line} line */
  const pictured = (line) => line.photo || leaves(line.reasons).some(({ code, photo }) => photo && code === chosen[line.id]?.reason);
  /** @param {string} id @param {File[]} files */
  const upload = (id, files) =>
    during(async () => {
      const made = [...(chosen[id]?.photos ?? [])];
      for (const file of files.slice(0, MOST_PHOTOS - made.length)) {
        const form = new FormData();
        form.append("file", file);
        made.push(await ask("/photos", form));
        keep(id, { photos: [...made] });
      }
    });
  const offered = Object.keys(offer.resolutions).filter((one) => lines.every((line) => line.resolutions.includes(one) && (one !== "exchange" || line.instead.length > 0)));
  const wanted = {
    resolution: wish,
    gift: false,
    method: way.method,
    place: way.place?.id ?? null,
    day: way.day,
    items: lines.map(({ id }) => ({ line: id, ...chosen[id], photos: chosen[id].photos.map((one) => one.id), instead: wish === "exchange" ? chosen[id].instead : "" })),
  };

  if (able.length === 0)
    return (
      <Frame secondary={leaving}>
        <s-banner tone="info" heading={t("nothing")}>
          {t("nothing_why")}
        </s-banner>
        {offer.lines.map((line) => (
          <Goods key={line.id} line={line}>
            <s-text color="subdued">{line.why_not}</s-text>
          </Goods>
        ))}
        {returns.map((one) => (
          <Return key={one.id} one={one} look={look} />
        ))}
      </Frame>
    );

  const judge = () =>
    only(async () => {
      setDecision(await ask(`/orders/${id}/decision`, wanted));
      setStep("review");
    });

  if (step === "items") {
    const next = () => {
      if (lines.length === 0) return setTrouble(t("choose"));
      const bare = lines.find(({ id }) => !chosen[id].reason);
      if (bare) return setTrouble(t("reason_missing", { item: apart(bare.title) }));
      const unkept = lines.find(({ id, conditions }) => conditions.some(({ code }) => !chosen[id].kept.includes(code)));
      if (unkept) return setTrouble(t("conditions_missing", { item: apart(unkept.title) }));
      const unseen = lines.find((line) => pictured(line) && chosen[line.id].photos.length === 0);
      if (unseen) return setTrouble(t("photo_missing", { item: apart(unseen.title) }));
      setTrouble("");
      setWish(offered.length === 1 ? offered[0] : offered.includes(wish) ? wish : "");
      setStep("wish");
    };
    return (
      <Frame primary={{ words: t("next"), act: next, busy }} secondary={leaving}>
        <s-text>{t("items")}</s-text>
        {offer.lines.map((line) => (
          <Goods key={line.id} line={line}>
            {line.most === 0 ? <s-text color="subdued">{line.why_not}</s-text> : <Item line={line} item={chosen[line.id] ?? NOTHING} keep={(part) => keep(line.id, part)} upload={pictured(line) ? (files) => void upload(line.id, files) : undefined} />}
          </Goods>
        ))}
        {said}
        {wait}
      </Frame>
    );
  }

  if (step === "wish") {
    const next = () => {
      if (!wish) return setTrouble(t("wish"));
      const bare = wish === "exchange" && lines.find(({ id }) => !chosen[id].instead);
      if (bare) return setTrouble(t("instead_missing", { item: apart(bare.title) }));
      if (offer.ways.length === 0) return void judge();
      const ways = () => {
        setTrouble("");
        if (!offer.ways.some(({ code }) => code === way.method)) setWay({ ...NO_WAY, method: offer.ways.length === 1 ? offer.ways[0].code : "" });
        setStep("way");
      };
      if (!offer.keeps) return ways();
      return void only(async () => {
        const told = await ask(`/orders/${id}/decision`, { ...wanted, method: "", place: null, day: "" });
        if (!told.keep) return ways();
        setWay(NO_WAY);
        setDecision(told);
        setStep("review");
      });
    };
    return (
      <Frame primary={offered.length > 0 ? { words: t("next"), act: next, busy } : undefined} secondary={{ words: t("back"), act: () => (setTrouble(""), setStep("items")) }}>
        {offered.length === 0 && <s-banner tone="warning">{t("wish_none")}</s-banner>}
        {offered.length > 0 && (
          <s-choice-list label={t("wish")} name="wish" values={wish ? [wish] : []} onChange={(event) => setWish(field(event).values?.[0] ?? "")}>
            {offered.map((one) => (
              <s-choice key={one} value={one} selected={wish === one}>
                {offer.resolutions[one]}
              </s-choice>
            ))}
          </s-choice-list>
        )}
        {wish === "exchange" &&
          lines.map((line) => (
            <s-select key={line.id} label={t("instead", { item: apart(line.title) })} value={chosen[line.id].instead} onChange={(event) => keep(line.id, { instead: field(event).value ?? "" })}>
              <s-option value="">{t("please_choose")}</s-option>
              {line.instead.map((one) => (
                <s-option key={one.id} value={one.id}>{`${one.title} · ${money(one.price)}`}</s-option>
              ))}
            </s-select>
          ))}
        {said}
        {wait}
      </Frame>
    );
  }

  if (step === "way") {
    const next = () => {
      const bare = missing(way);
      if (bare) return setTrouble(bare);
      void judge();
    };
    return (
      <Frame primary={{ words: t("next"), act: next, busy }} secondary={{ words: t("back"), act: () => (setTrouble(""), setStep("wish")) }}>
        <Ways order={id} offer={offer} way={way} keep={(one) => (setTrouble(""), setWay(one))} busy={busy} during={during} />
        {said}
        {wait}
      </Frame>
    );
  }

  if (step === "review" && decision) {
    const name = (/** @type {string} */ id) => lines.find((line) => line.id === id)?.title ?? "";
    const change = { words: t("back"), act: () => (setTrouble(""), setStep("items")) };
    if (decision.refused.length > 0)
      return (
        <Frame secondary={change}>
          {decision.refused.map((one) => (
            <s-banner key={one.line} tone="warning" heading={name(one.line)}>
              {one.words}
            </s-banner>
          ))}
        </Frame>
      );
    const send = () =>
      only(async () => {
        try {
          const made = await ask(`/orders/${id}/returns`, { client_id: client.current, wish: wanted, digest: decision.digest });
          setNumber(made.number);
          setLooked(made.id);
          setReturns([{ ...made, state: decision.review ? "requested" : "approved" }, ...returns]);
          setStep("made");
        } catch (error) {
          const code = error instanceof Error && "code" in error ? error.code : "";
          if (code === "decision_changed") {
            // What comes back has changed since it was shown: show it anew, nothing was sent.
            setDecision(await ask(`/orders/${id}/decision`, wanted));
          } else if (WAYS_REFUSED.includes(String(code))) {
            setOffer(await ask(`/orders/${id}/offer`));
            setWay(NO_WAY);
            setStep("way");
          } else throw error;
          setTrouble(/** @type {Error} */ (error).message);
        }
      });
    const credit = decision.credit && decision.bonus ? { ...decision.credit, amount: decision.credit.amount + decision.bonus.amount } : decision.credit;
    const chosenWay = offer.ways.find(({ code }) => code === way.method);
    const swapped = wish === "exchange" && lines.map((line) => line.instead.find((one) => one.id === chosen[line.id].instead)).map((one) => one && apart(one.title)).filter(Boolean).join(", ");
    return (
      <Frame primary={{ words: t("confirm"), act: () => void send(), busy }} secondary={change}>
        <s-heading>{offer.resolutions[wish]}</s-heading>
        {decision.lines.map((one) => (
          <Sum key={one.id} words={t("line", { quantity: String(one.quantity), item: apart(name(one.id)) })} amount={one.goods} />
        ))}
        <s-divider />
        <Sum words={t("restocking")} amount={decision.restocking} minus />
        <Sum words={t("shipping")} amount={decision.shipping} minus />
        <Sum words={t("delivery")} amount={decision.delivery} />
        <Sum words={t("bonus")} amount={decision.bonus} />
        <Sum words={t("cash")} amount={decision.cash} strong />
        <Sum words={t("credit")} amount={credit} strong />
        <Sum words={t("owed")} amount={decision.owed} strong />
        {swapped && <Row words={t("gets")}>{swapped}</Row>}
        {!decision.keep && chosenWay && <Row words={t("way")}>{toldWay(chosenWay.words, way)}</Row>}
        {decision.keep && <s-banner tone="success">{t("keep")}</s-banner>}
        <s-text color="subdued">{decision.review ? t("reviewed") : t("at_once")}</s-text>
        {said}
        {wait}
      </Frame>
    );
  }

  return null;
}

/** @param {{line: Line, item: Chosen, keep: (part: Partial<Chosen>) => void, upload?: (files: File[]) => void}} props */
function Item({ line, item, keep, upload }) {
  return (
    <s-stack gap="small-200">
      {line.until && <s-text color="subdued">{t("until", { date: date(line.until) })}</s-text>}
      <s-number-field
        label={t("quantity")}
        min={0}
        max={line.most}
        step={1}
        value={String(item.quantity)}
        controls="stepper"
        onChange={(event) => keep({ quantity: Math.min(line.most, Math.max(0, Math.trunc(Number(field(event).value) || 0))) })}
      />
      {item.quantity > 0 && (
        <s-stack gap="small-200">
          <s-select label={t("reason")} value={item.reason} onChange={(event) => keep({ reason: field(event).value ?? "" })}>
            <s-option value="">{t("please_choose")}</s-option>
            {leaves(line.reasons).map(({ code, words }) => (
              <s-option key={code} value={code}>
                {words}
              </s-option>
            ))}
          </s-select>
          <s-text-area label={t("words")} rows={2} maxLength={2000} value={item.words} onChange={(event) => keep({ words: field(event).value ?? "" })} />
          {line.conditions.map(({ code, words }) => (
            <s-checkbox
              key={code}
              label={words}
              checked={item.kept.includes(code)}
              onChange={(event) => keep({ kept: field(event).checked ? [...item.kept, code] : item.kept.filter((one) => one !== code) })}
            />
          ))}
          {upload && <s-drop-zone label={t("photos")} accept="image/*,video/*" multiple onInput={(event) => upload([...(field(event).files ?? [])])} />}
          {item.photos.map(({ id, name }) => (
            <s-stack key={id} direction="inline" gap="base" alignItems="center">
              <s-text>{apart(name)}</s-text>
              <s-button onClick={() => keep({ photos: item.photos.filter((one) => one.id !== id) })}>{t("photo_out")}</s-button>
            </s-stack>
          ))}
        </s-stack>
      )}
    </s-stack>
  );
}
