// How it gets back to the shop: the ways that are offered, and for some of them a day or a place.
import { useEffect, useState } from "preact/hooks";
import { ask } from "./server.js";
import { apart, date, number, t } from "./words.js";

/**
 * @typedef {{id: string, name: string, address: string, hours: string[], km: number | null, map: string}} Place
 * @typedef {{method: string, day: string, place: Place | null}} Way
 * @typedef {{ways: {code: string, words: string}[], days: string[]}} Offered
 */

/** @type {Way} */
export const NO_WAY = { method: "", day: "", place: null };

/** What was typed or chosen. @param {Event} event @returns {any} one of Shopify's fields */
export const field = (event) => event.currentTarget;

/** @param {Way} way */
const placed = ({ method }) => method === "point" || method === "store";

/** What is still to be chosen, in words. @param {Way} way */
export function missing(way) {
  if (!way.method) return t("way_missing");
  if (placed(way) && !way.place) return t("place_missing");
  return way.method === "pickup" && !way.day ? t("day_missing") : "";
}

/** @param {string} words @param {{day: string, place: {name: string} | null}} way */
export const said = (words, { day, place }) => [words, day && date(day), place && apart(place.name)].filter(Boolean).join(" · ");

/** @param {Place} place */
const whereabouts = ({ km, address }) => [km !== null && t("km", { km: number(km) }), apart(address)].filter(Boolean).join(" · ");

/** A place, when it is open and the way to it. @param {{place: Place, named?: boolean}} props `named`: not in a list already */
export function Spot({ place, named = false }) {
  return (
    <s-stack gap="small-200">
      {named && <s-text type="strong">{place.name}</s-text>}
      {named && <s-text color="subdued">{whereabouts(place)}</s-text>}
      {place.hours.map((line) => (
        <s-text key={line} color="subdued">
          {apart(line)}
        </s-text>
      ))}
      <s-link href={place.map} target="_blank">
        {t("map")}
      </s-link>
    </s-stack>
  );
}

/**
 * @param {{order: string, offer: Offered, way: Way, keep: (way: Way) => void, busy: boolean, during: (work: () => Promise<void>) => Promise<void>}} props
 */
export function Ways({ order, offer, way, keep, busy, during }) {
  return (
    <s-stack gap="base">
      <s-choice-list label={t("way")} name="way" values={way.method ? [way.method] : []} onChange={(event) => keep({ ...NO_WAY, method: field(event).values?.[0] ?? "" })}>
        {offer.ways.map(({ code, words }) => (
          <s-choice key={code} value={code} selected={way.method === code}>
            {words}
          </s-choice>
        ))}
      </s-choice-list>
      {way.method === "pickup" && (
        <s-select label={t("day")} value={way.day} onChange={(event) => keep({ ...way, day: field(event).value ?? "" })}>
          <s-option value="">{t("please_choose")}</s-option>
          {offer.days.map((day) => (
            <s-option key={day} value={day}>
              {date(day)}
            </s-option>
          ))}
        </s-select>
      )}
      {placed(way) && <Places key={way.method} order={order} way={way} keep={keep} busy={busy} during={during} />}
    </s-stack>
  );
}

/** @param {{order: string, way: Way, keep: (way: Way) => void, busy: boolean, during: (work: () => Promise<void>) => Promise<void>}} props */
function Places({ order, way, keep, busy, during }) {
  const [places, setPlaces] = useState(/** @type {Place[] | null} */ (null));
  const [near, setNear] = useState("");
  const look = () =>
    during(async () => {
      const found = await ask(`/orders/${order}/places?kind=${way.method}&near=${encodeURIComponent(near)}`);
      setPlaces(found.places);
    });
  useEffect(() => void look(), []);
  return (
    <s-stack gap="base">
      {!places && busy && <s-skeleton-paragraph content={t("loading")} />}
      {places?.length === 0 && <s-text color="subdued">{t("places_none")}</s-text>}
      {places && places.length > 0 && (
        <s-choice-list
          label={t(`places.${way.method}`)}
          name="place"
          values={way.place ? [way.place.id] : []}
          onChange={(event) => keep({ ...way, place: places.find(({ id }) => id === field(event).values?.[0]) ?? null })}
        >
          {places.map((place) => (
            <s-choice key={place.id} value={place.id} selected={way.place?.id === place.id}>
              {place.name}
              <s-text slot="details">{whereabouts(place)}</s-text>
            </s-choice>
          ))}
        </s-choice-list>
      )}
      {way.place && <Spot place={way.place} />}
      <s-text-field label={t("near")} maxLength={60} value={near} onChange={(event) => setNear(field(event).value ?? "")} />
      <s-button loading={busy} onClick={() => void look()}>
        {t("near_look")}
      </s-button>
    </s-stack>
  );
}
