// Moments as people read them.

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

export const clock = (moment) => CLOCK.format(new Date(moment));
export const full = (moment) => FULL.format(new Date(moment));
export const dayKey = (moment) => new Date(moment).toDateString();

export function day(moment) {
  const key = dayKey(moment);
  if (key === dayKey(Date.now())) return "Today";
  if (key === dayKey(Date.now() - 86_400_000)) return "Yesterday";
  return new Date(moment).getFullYear() === new Date().getFullYear() ? DAY.format(new Date(moment)) : YEAR.format(new Date(moment));
}

// Short: the time of today, the date of other days.
export function short(moment) {
  return dayKey(moment) === dayKey(Date.now()) ? clock(moment) : DATE.format(new Date(moment));
}
