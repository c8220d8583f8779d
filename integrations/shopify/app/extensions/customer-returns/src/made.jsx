// A return that was made: how it stands, what comes next, what is needed for the parcel, and where the rest is done.
import { useEffect, useRef, useState } from "preact/hooks";
import { Goods, Row, Sum } from "./pieces.jsx";
import { ask, SERVER } from "./server.js";
import { apart, t } from "./words.js";
import { said, Spot } from "./way.jsx";

/**
 * @typedef {import("./pieces.jsx").Amount} Amount
 * @typedef {{id: string, number: string, state: string}} Known
 * @typedef {Known & {kind: string, resolution: string, keep: boolean, why: string, note: string, page: string,
 *   label: string | null, slip: string | null, carrier: string, tracking: string, tracking_url: string,
 *   way: {code: string, words: string, place: import("./way.jsx").Place | null, day: string} | null,
 *   cash?: Amount, credit?: Amount, paid?: Amount, owed?: Amount, instead: string[], may: string[],
 *   lines: {title: string, variant: string, quantity: number, picture: string}[]}} Shown
 */

const DECLINED = ["declined", "cancelled"];
const ENDED = [...DECLINED, "paid", "closed"];
const UNSENT = ["approved", "sent"];
const PAUSES = [3000, 5000, 9000, 15_000];
const LATER = 40_000;

/** What comes next, by its key. @param {Shown} shown */
function then({ state, kind, keep, label, slip, way }) {
  if (state === "approved" && keep) return "keep";
  if (state === "approved" && slip) return "approved_slip";
  if (state === "sent" && !label) return "sent_number";
  if (state === "sent" && way && ["code", "pickup"].includes(way.code)) return `sent_${way.code}`;
  return state === "paid" && ["refund", "credit"].includes(kind) ? kind : state;
}

/** @param {Shown} shown */
const tone = ({ state }) => (DECLINED.includes(state) ? "warning" : state === "paid" || state === "closed" ? "success" : "info");

/** What its own page is opened for. @param {Shown} shown */
const there = ({ may }) => (may.includes("answer") ? t("page_answer") : may.includes("pay") ? t("page_pay") : t("page"));

/**
 * @param {{id: string, number: string, others: Known[], busy: boolean, notices: import("preact").ComponentChildren,
 *   during: (work: () => Promise<void>) => Promise<void>, only: (work: () => Promise<void>) => Promise<void>,
 *   look: (id: string) => void, seen: (found: Known) => void, anew: () => void, Frame: (props: import("./flow.jsx").Framed) => any, leave?: import("./flow.jsx").Button}} props
 * `id` stays the same: another return is another screen. `number` is that of a return that was sent this moment.
 */
export function Made({ id, number, others, busy, notices, during, only, look, seen, anew, Frame, leave }) {
  const [shown, setShown] = useState(/** @type {Shown | null} */ (null));
  const [sure, setSure] = useState(false);
  // The answer to what was asked last counts: one from before does not undo what came after it.
  const asked = useRef(0);
  const open = !shown || !ENDED.includes(shown.state);

  /** @param {string} path @param {unknown} [body] */
  const see = async (path, body) => {
    const mine = ++asked.current;
    const found = await ask(path, body);
    if (mine !== asked.current) return;
    setShown(found);
    seen(found);
  };
  const load = () => during(() => see(`/returns/${id}`));
  useEffect(() => void load(), []);
  useEffect(() => {
    if (!shown || !open) return;
    let turn = 0;
    let over = false;
    const again = async () => {
      // What is not answered now is asked once more: the screen says what it last knew.
      await see(`/returns/${id}`).catch(() => {});
      if (!over) timer = setTimeout(again, PAUSES[++turn] ?? LATER);
    };
    let timer = setTimeout(again, PAUSES[0]);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [!shown, open]);

  const cancel = () =>
    only(async () => {
      await see(`/returns/${id}/cancel`, {});
      setSure(false);
    });
  const sent = number && <s-banner tone="success" heading={t("sent", { number: apart(number) })} />;
  if (!shown)
    return (
      <Frame primary={busy ? undefined : { words: t("again"), act: () => void load() }} secondary={leave}>
        {sent}
        {busy && <s-skeleton-paragraph content={t("loading")} />}
        {notices}
      </Frame>
    );

  const { way, label, slip } = shown;
  const unsent = UNSENT.includes(shown.state);
  const amount = DECLINED.includes(shown.state) ? null : (shown.paid ?? shown.cash ?? shown.credit);
  return (
    <Frame secondary={leave}>
      {sent}
      <s-banner tone={tone(shown)} heading={t("made", { number: apart(shown.number), state: t(`state.${shown.state}`) })}>
        {[t(`then.${then(shown)}`), shown.why].filter(Boolean).join(" ")}
      </s-banner>
      {shown.note && <s-text>{apart(shown.note)}</s-text>}
      {unsent && label && (
        <s-button variant="primary" href={SERVER + label} target="_blank">
          {way?.code === "code" ? t("label_code") : t("label")}
        </s-button>
      )}
      {unsent && slip && (
        <s-button href={SERVER + slip} target="_blank">
          {t("slip")}
        </s-button>
      )}
      {way && !shown.keep && <Row words={t("way")}>{said(way.words, { day: way.day, place: null })}</Row>}
      {way?.place && !shown.keep && <Spot place={way.place} named />}
      {shown.tracking && <Row words={t("parcel")}>{[shown.carrier && apart(shown.carrier), apart(shown.tracking)].filter(Boolean).join(" · ")}</Row>}
      {shown.tracking_url && (
        <s-link href={shown.tracking_url} target="_blank">
          {t("track")}
        </s-link>
      )}
      <s-divider />
      {shown.lines.map((line, place) => (
        <Goods key={place} line={line}>
          <s-text color="subdued">{t("count", { quantity: String(line.quantity) })}</s-text>
        </Goods>
      ))}
      {shown.instead.length > 0 && <Row words={t("gets")}>{shown.instead.map(apart).join(", ")}</Row>}
      <Sum words={shown.resolution} amount={amount} strong />
      <Sum words={t("owed")} amount={shown.owed} strong />
      {shown.page && (
        <s-link href={shown.page} target="_blank">
          {there(shown)}
        </s-link>
      )}
      {notices}
      {shown.may.includes("cancel") &&
        (sure ? (
          <s-stack gap="base">
            <s-text>{t("cancel_what")}</s-text>
            <s-stack direction="inline" gap="base">
              <s-button tone="critical" loading={busy} onClick={() => void cancel()}>
                {t("cancel_sure")}
              </s-button>
              <s-button onClick={() => setSure(false)}>{t("cancel_not")}</s-button>
            </s-stack>
          </s-stack>
        ) : (
          <s-button onClick={() => setSure(true)}>{t("cancel")}</s-button>
        ))}
      {others.length > 0 && <s-divider />}
      {others.map((one) => (
        <Return key={one.id} one={one} look={look} />
      ))}
      <s-button onClick={anew}>{t("anew")}</s-button>
    </Frame>
  );
}

/** Another return of the order. @param {{one: Known, look: (id: string) => void}} props */
export function Return({ one, look }) {
  return (
    <s-stack direction="inline" gap="base" justifyContent="space-between" alignItems="center">
      <s-text>{t("made", { number: apart(one.number), state: t(`state.${one.state}`) })}</s-text>
      <s-button onClick={() => look(one.id)}>{t("look")}</s-button>
    </s-stack>
  );
}
