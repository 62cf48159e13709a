/** The styles of the element. A page can set the custom properties that begin with --finch. */

const STYLES = `
:host {
  --_text: var(--finch-text, light-dark(#1b2430, #e8ecf1));
  --_soft: var(--finch-text-soft, light-dark(#556070, #a3adba));
  --_surface: var(--finch-surface, light-dark(#ffffff, #171c23));
  --_line: var(--finch-line, light-dark(#e1e5ea, #2c343f));
  --_accent: var(--finch-accent, light-dark(#3347c9, #9db0ff));
  --_on-accent: var(--finch-on-accent, light-dark(#ffffff, #10183f));
  --_good: var(--finch-good, light-dark(#12704a, #5fd3a2));
  --_wait: var(--finch-wait, light-dark(#845100, #f0b955));
  --_bad: var(--finch-bad, light-dark(#b3261e, #ff8f85));
  --_on-bad: var(--finch-on-bad, light-dark(#ffffff, #3a0906));
  --_radius: var(--finch-radius, 12px);
  --_control: calc(var(--_radius) * 0.66);
  --_shadow: 0 1px 2px light-dark(rgb(20 30 50 / 6%), rgb(0 0 0 / 40%));
  display: block;
  container-type: inline-size;
  /* A size container has no intrinsic width. This is the width for layouts that need one. */
  contain-intrinsic-inline-size: min(46em, 100vw - 2em);
  min-inline-size: 0;
  max-inline-size: 100%;
  color: var(--_text);
  font-family: var(--finch-font, inherit);
  line-height: 1.5;
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important; }
*, ::before, ::after { box-sizing: border-box; }
h2, h3, h4, h5, h6, p, ul, dl, dd { margin: 0; padding: 0; }
ul { list-style: none; }
button { font: inherit; color: inherit; }
bdi { overflow-wrap: anywhere; text-align: match-parent; }
/* Ids and codes read from left to right in any language. */
code { direction: ltr; unicode-bidi: isolate; }
/* Letters that are joined in a script such as Arabic must stay joined. */
:is(h2, h3, .mark):dir(rtl) { letter-spacing: normal; }
a:not(.button) { display: inline-block; min-width: 24px; min-height: 24px; color: inherit; text-underline-offset: 0.15em; }
svg { flex: none; width: 1.25em; height: 1.25em; }
.unseen {
  position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap;
}
.root { display: grid; gap: 1.5em; }
/* A long word must not make a column wider than the element. */
.root, .group, .cards { grid-template-columns: minmax(0, 1fr); }
.all > :empty { display: none; }

header { display: flex; gap: 1em; align-items: center; justify-content: space-between; }
h2 { font-size: 1.375em; line-height: 1.25; font-weight: 650; letter-spacing: -0.015em; text-wrap: balance; }
h2, h3 { overflow-wrap: break-word; }
h2:focus, h3:focus { outline: none; }
.summary { display: flex; gap: 0.4em; align-items: center; margin-top: 0.2em; color: var(--_soft); font-size: 0.9375em; }
.summary.bad { color: var(--tone); font-weight: 550; }
.group { display: grid; gap: 0.75em; }
.group > h3, .ended > summary { font-size: 0.8125em; font-weight: 600; color: var(--_soft); }
.ended > summary h3 { display: flex; gap: 0.4em; align-items: center; font: inherit; }

.controls { display: grid; grid-template-columns: minmax(11em, 1fr) repeat(3, fit-content(9.8em)); gap: 0.75em; }
.controls label { display: grid; gap: 0.2em; }
.controls label > span { color: var(--_soft); font-size: 0.8125em; font-weight: 600; }
.field {
  width: 100%; min-height: 2.67em; padding: 0.43em 0.7em;
  border: 1px solid color-mix(in oklab, var(--_line), var(--_text) 35%); border-radius: var(--_control);
  background: var(--_surface); color: var(--_text);
  font: inherit; font-size: 0.9375em; line-height: 1.25; text-overflow: ellipsis;
}
.field::placeholder { color: var(--_soft); opacity: 1; }
.found { grid-column: 1 / -1; display: flex; gap: 0.5em; align-items: center; justify-content: space-between; color: var(--_soft); font-size: 0.9375em; }
.found:empty { display: none; }
.found .button { margin-block: -0.4em; margin-inline-end: -1em; }
.found.none { flex-direction: column; padding: 2em 1em; border: 1px dashed var(--_line); border-radius: var(--_radius); text-align: center; }
.found.none .button { margin: 0; color: var(--_accent); }

.button {
  display: inline-flex; gap: 0.5em; align-items: center; justify-content: center;
  min-height: 2.67em; padding: 0.43em 1em;
  border: 1px solid var(--_line); border-radius: var(--_control);
  background: var(--_surface); color: var(--_text);
  font-size: 0.9375em; font-weight: 550; line-height: 1.25; text-decoration: none; cursor: pointer;
  transition: background-color 120ms, border-color 120ms, box-shadow 120ms;
}
.button:hover { background: color-mix(in oklab, var(--_surface), var(--_text) 5%); border-color: color-mix(in oklab, var(--_line), var(--_text) 18%); }
.button:active { background: color-mix(in oklab, var(--_surface), var(--_text) 10%); }
.button.primary { border-color: transparent; background: var(--_accent); color: var(--_on-accent); box-shadow: var(--_shadow); }
.button.primary:hover { background: color-mix(in oklab, var(--_accent), var(--_text) 14%); }
.button.danger { border-color: transparent; background: var(--_bad); color: var(--_on-bad); }
.button.danger:hover { background: color-mix(in oklab, var(--_bad), var(--_text) 14%); }
.button.quiet { border-color: transparent; background: none; color: var(--_soft); }
.button.quiet:hover { background: color-mix(in oklab, transparent, var(--_text) 7%); color: var(--_text); }
.button.quiet.ends { color: var(--_bad); }
.button.icon { padding: 0.43em; min-width: 2.67em; }
.button[aria-disabled="true"] { cursor: progress; }
.button[aria-disabled="true"]:not(.busy) { opacity: 0.55; }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
.chevron { transition: rotate 160ms; }
[aria-expanded="true"] .chevron, [open] > summary .chevron { rotate: 180deg; }

.spinner {
  flex: none; width: 1em; height: 1em; border-radius: 50%;
  border: 2px solid color-mix(in oklab, currentcolor 30%, transparent); border-top-color: currentcolor;
  animation: turn 800ms linear infinite;
}
@keyframes turn { to { rotate: 1turn; } }

.cards { display: grid; gap: 0.75em; }
.card {
  border: 1px solid var(--_line); border-radius: var(--_radius);
  background: var(--_surface); box-shadow: var(--_shadow);
  animation: appear 220ms ease-out;
}
@keyframes appear { from { opacity: 0; translate: 0 4px; } }
.row { display: grid; grid-template-columns: auto minmax(0, 1fr) auto auto; gap: 0.25em 0.9em; align-items: center; padding: 0.9em 1em; }
.mark {
  display: grid; flex: none; place-items: center; width: 2.67em; height: 2.67em; border-radius: calc(var(--_radius) * 0.75); overflow: hidden;
  background: light-dark(oklch(0.94 0.04 var(--hue, 250)), oklch(0.32 0.05 var(--hue, 250)));
  color: light-dark(oklch(0.42 0.11 var(--hue, 250)), oklch(0.88 0.08 var(--hue, 250)));
  font-size: 0.9375em; font-weight: 650; letter-spacing: -0.01em; user-select: none;
}
.mark.pictured { background: #fff; }
.mark > img { grid-area: 1 / 1; width: 2.67em; height: 2.67em; padding: 0.2em; border-radius: inherit; object-fit: contain; visibility: hidden; }
.mark.pictured > img { visibility: visible; }
.company { border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--_surface); box-shadow: var(--_shadow); overflow: clip; }
.company > h4 { padding: 0.8em 1em 0.5em; font-size: 1em; font-weight: 600; line-height: 1.35; overflow-wrap: anywhere; }
.company > .cards { gap: 0; }
.company .card, .company .card.attention { border: 0; border-top: 1px solid var(--_line); border-radius: 0; background: none; box-shadow: none; animation: none; }
.company .card.attention .row { border-radius: 0; }
.who h5 { font-size: 1em; font-weight: 550; line-height: 1.35; overflow-wrap: anywhere; }
.who h4 {
  font-size: 1em; font-weight: 600; line-height: 1.35;
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4; overflow: hidden;
}
.who { overflow: hidden; }
.facts { display: flex; flex-wrap: wrap; margin-inline-start: -0.95em; color: var(--_soft); font-size: 0.875em; line-height: 1.45; }
.facts > * { position: relative; max-width: 100%; max-height: 5.8em; padding-inline-start: 0.95em; overflow: hidden; overflow-wrap: anywhere; }
/* The text of a button without a border ends where the other buttons end. */
.row > .quiet, .body .quiet { padding-inline: 0.6em; margin-inline-end: -0.6em; }
/* A separator at the beginning of a line is outside the visible area. */
.facts > ::before { content: "·"; content: "·" / ""; position: absolute; inset-inline-start: 0; width: 0.95em; text-align: center; color: color-mix(in oklab, var(--_soft), transparent 35%); }

.status { display: inline-flex; gap: 0.45em; align-items: center; font-size: 0.8125em; font-weight: 600; white-space: nowrap; color: var(--tone); }
.chip { padding-block: 0.2em; padding-inline: 0.62em 0.74em; border-radius: 99px; background: color-mix(in oklab, var(--_surface), var(--tone) 11%); }
.status::before { content: ""; width: 0.5em; height: 0.5em; border-radius: 50%; background: currentcolor; }
.status.spins::before { content: none; }
.good { --tone: var(--_good); }
.wait { --tone: var(--_wait); }
.bad { --tone: var(--_bad); }
.over, .info { --tone: var(--_soft); }

.reason {
  grid-column: 2 / -1; display: flex; gap: 0.75em 1.33em; align-items: center; justify-content: space-between;
  margin-top: 0.45em; color: var(--_soft); font-size: 0.9375em; text-wrap: pretty;
}
.card.attention { border-color: color-mix(in oklab, var(--_line), var(--tone) 55%); }
.card.attention .row { background: color-mix(in oklab, transparent, var(--tone) 5%); border-radius: calc(var(--_radius) - 1px); }
.card.attention .reason { color: var(--_text); }
.reason .button { flex: none; font-size: 1em; }

.body { display: grid; gap: 1.1em; padding: 1em; border-top: 1px solid var(--_line); }
.body h5, .body h6 { font-size: 0.8125em; font-weight: 600; color: var(--_soft); }
.logins { display: grid; }
.logins > li { padding: 0.6em 0; border-bottom: 1px solid var(--_line); }
.logins > li:last-child { border-bottom: 0; padding-bottom: 0; }
.login { display: flex; flex-wrap: wrap; gap: 0.1em 0.9em; align-items: baseline; justify-content: space-between; }
.login strong { font-weight: 600; font-size: 0.9375em; }
.login .status { color: var(--tone); }
.small { color: var(--_soft); font-size: 0.875em; text-wrap: pretty; }
.first::first-letter { text-transform: uppercase; }
.known { display: grid; gap: 0.25em; font-size: 0.875em; }
.known > div { display: grid; grid-template-columns: 7em minmax(0, 1fr); gap: 0.9em; }
.known dt { color: var(--_soft); overflow-wrap: anywhere; }
.entities { display: grid; gap: 0.3em; margin-top: 0.5em; font-size: 0.875em; }
.entities li { display: flex; flex-wrap: wrap; gap: 0 0.9em; align-items: center; padding-inline-start: 0.8em; border-inline-start: 2px solid var(--_line); }
.entities bdi { flex: 1 1 12em; }
.entities .button { min-height: 2em; padding-block: 0.2em; font-size: 1em; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 0.9em; overflow-wrap: anywhere; }
.actions { display: flex; flex-wrap: wrap; gap: 0.6em; align-items: center; }
.body .actions { justify-content: space-between; }

.notice {
  display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: 0 0.8em;
  padding: 0.9em 1em; border-radius: var(--_radius);
  border: 1px solid color-mix(in oklab, var(--_line), var(--tone) 40%);
  background: color-mix(in oklab, var(--_surface), var(--tone) 7%);
  animation: appear 220ms ease-out;
}
.notice > svg, .notice > .spinner { margin-top: 0.12em; color: var(--tone); }
.notice > .spinner { width: 1.15em; height: 1.15em; }
.notice h3 { font-size: 1em; font-weight: 600; }
.notice p { color: var(--_soft); font-size: 0.9375em; text-wrap: pretty; overflow-wrap: anywhere; }
.notice .actions { margin-top: 0.7em; }
.notice .close { margin-block-start: -0.48em; margin-inline-end: -0.53em; align-self: start; }
.notice small { font-size: 0.875em; }

.question { padding: 1.5em; border: 1px solid color-mix(in oklab, var(--_line), var(--_accent) 55%); border-radius: var(--_radius); background: var(--_surface); box-shadow: 0 8px 30px light-dark(rgb(20 30 50 / 9%), rgb(0 0 0 / 45%)); display: grid; gap: 1em; animation: appear 220ms ease-out; }
.question h3 { font-size: 1.25em; font-weight: 650; letter-spacing: -0.01em; }
.question p { color: var(--_soft); text-wrap: pretty; }
.facts-list { display: grid; gap: 0.5em; padding: 0.9em 1em; border-radius: var(--_control); background: color-mix(in oklab, var(--_surface), var(--_text) 4%); }
.facts-list > div { display: grid; grid-template-columns: minmax(5.5em, auto) minmax(0, 1fr); gap: 0.9em; }
.facts-list dt { color: var(--_soft); }
.facts-list dd { display: grid; gap: 0.25em; font-weight: 600; }

.empty { display: grid; grid-template-columns: minmax(0, 1fr); justify-items: center; overflow-wrap: anywhere; gap: 1.1em; padding: 2.75em 1.5em; border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--_surface); text-align: center; box-shadow: var(--_shadow); }
.empty > svg { width: 11em; height: auto; color: var(--_accent); }
.empty h3 { font-size: 1.25em; font-weight: 650; letter-spacing: -0.01em; text-wrap: balance; }
.empty > p { max-width: 30em; color: var(--_soft); margin-top: -0.6em; text-wrap: balance; }
.asks { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.7em; width: min(32em, 100%); padding: 0.9em 1em; border-radius: var(--_control); background: color-mix(in oklab, var(--_surface), var(--_text) 4%); font-size: 0.9375em; text-align: start; }
.asks h4 { font-size: 1em; font-weight: 600; }
.asks p, .reads p { color: var(--_soft); text-wrap: pretty; }
.asks h4, .reads-list { overflow-wrap: anywhere; }
.reads-list { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.5em; font-size: 0.9375em; }
.reads-list dt { font-weight: 600; }
.reads-list dd { color: var(--_soft); text-wrap: pretty; }
.empty ul { display: grid; gap: 0.7em; max-width: 32em; text-align: start; font-size: 0.9375em; }
.empty li { display: grid; grid-template-columns: auto 1fr; gap: 0.7em; color: var(--_soft); text-wrap: pretty; }
.empty li svg { margin-top: 0.1em; color: var(--_good); }
.empty .button { margin-top: 0.43em; min-height: 2.93em; padding-inline: 1.4em; }

.bone { border-radius: 6px; background: color-mix(in oklab, var(--_surface), var(--_text) 9%); animation: breathe 1.4s ease-in-out infinite alternate; }
.bone.mark { border-radius: calc(var(--_radius) * 0.75); }
.bone.line { height: 0.85em; }
@keyframes breathe { to { background: color-mix(in oklab, var(--_surface), var(--_text) 4%); } }
.bones { display: grid; gap: 0.5em; }
.bones :first-child { width: min(17em, 70%); }
.bones :last-child { width: min(11em, 45%); }
.card.still { animation: none; box-shadow: none; }
.slow { color: var(--_soft); font-size: 0.875em; text-align: center; }

.reads { margin-top: -0.9em; font-size: 0.875em; }
.reads > summary { display: inline-flex; gap: 0.4em; padding-block: 0.2em; align-items: center; color: var(--_soft); border-radius: var(--_control); cursor: pointer; list-style: none; }
.reads > summary::-webkit-details-marker { display: none; }
.reads > summary:hover { color: var(--_text); }
.reads > div { display: grid; gap: 0.7em; margin-top: 0.6em; padding: 0.9em 1em; border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--_surface); }
.ended > summary { display: inline-block; padding: 0.43em 0.74em; margin-inline-start: -0.74em; border-radius: var(--_control); cursor: pointer; list-style: none; }
.ended > summary::-webkit-details-marker { display: none; }
.ended > summary:hover { color: var(--_text); background: color-mix(in oklab, transparent, var(--_text) 6%); }
.ended > .cards { margin-top: 0.6em; }
.ended .card { box-shadow: none; background: none; }
.ended .mark { filter: grayscale(1); }
.more { justify-self: center; }

dialog {
  width: min(31em, calc(100vw - 2em)); max-height: min(42em, calc(100dvh - 2em)); padding: 0; overflow: auto;
  border: 1px solid var(--_line); border-radius: calc(var(--_radius) * 1.15);
  background: var(--_surface); color: var(--_text);
  box-shadow: 0 20px 60px rgb(10 15 30 / 30%);
}
dialog[open] { animation: appear 180ms ease-out; }
dialog::backdrop { background: rgb(12 16 26 / 50%); }
.sheet { display: grid; gap: 1em; padding: 1.5em; }
.sheet h2 { font-size: 1.25em; text-wrap: pretty; }
.sheet p { color: var(--_soft); text-wrap: pretty; }
.sheet ul { display: grid; gap: 0.6em; padding: 0.9em 1em; border-radius: var(--_control); background: color-mix(in oklab, var(--_surface), var(--_text) 4%); }
/* Always visible, so that focusing a button does not scroll the beginning of the dialog away. */
.sheet .actions { position: sticky; bottom: 0; justify-content: flex-end; margin: 0 -1.5em -1.5em; padding: 0.75em 1.5em 1.5em; background: var(--_surface); }

@container (width < 36em) {
  header { align-items: stretch; flex-direction: column; }
  .controls { grid-template-columns: 1fr 1fr; }
  .controls > :is(:first-child, :nth-child(4)) { grid-column: 1 / -1; }
  .row { grid-template-columns: auto minmax(0, 1fr) auto; align-items: start; padding: 0.9em; }
  .row > .status { grid-column: 2 / -1; grid-row: 2; justify-self: start; }
  .status { white-space: normal; }
  .row > .toggle { grid-column: 3; grid-row: 1; margin-top: -0.15em; }
  .toggle .words { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .row > .again { grid-column: 1 / -1; justify-self: stretch; margin: 0.4em 0 0; }
  .facts > :first-child { flex-basis: 100%; }
  .reason { grid-column: 1 / -1; flex-direction: column; align-items: stretch; margin-top: 0.35em; }
  .reason .button, .question .button, .empty .button { width: 100%; }
  .body .button { flex: 1 1 auto; margin: 0; }
  .empty { padding: 2em 1.1em; }
}
@media (width < 36rem) {
  dialog { width: calc(100vw - 1.5em); margin-bottom: 0.75em; }
  .sheet .button { flex: 1 1 auto; }
}
@media (width < 36rem) and (height >= 30rem) {
  .sheet .actions { flex-direction: column-reverse; align-items: stretch; }
}
@media (prefers-reduced-motion: reduce) {
  *, ::before, ::after { animation-duration: 1ms !important; animation-iteration-count: 1 !important; transition-duration: 1ms !important; }
  .spinner { border-top-color: color-mix(in oklab, currentcolor 30%, transparent); border-inline-end-color: currentcolor; }
}
@media (forced-colors: active) {
  .status::before { background: CanvasText; }
  .spinner { forced-color-adjust: none; border-color: GrayText; border-top-color: CanvasText; }
  .bone { background: GrayText; }
  .button[aria-disabled="true"]:not(.busy) { border-color: GrayText; color: GrayText; opacity: 1; }
}
`;

let shared: CSSStyleSheet | undefined;

/** The style sheet that all elements share. A constructed sheet needs no `unsafe-inline` in a Content Security Policy. */
export function sheet(): CSSStyleSheet {
  if (!shared) {
    shared = new CSSStyleSheet();
    shared.replaceSync(STYLES);
  }
  return shared;
}
