// Opens pages in Chromium and says what a person would complain of, as JSON lines on stdout.
//
//   node look.mjs [--shots DIR] URL…
//
// For each page, narrow (360) and light, and wide (1600) and dark: errors on the console and failed requests, whether the
// page is wider than the window or than paper, or a text in it is crushed, whether Tab leads to what is seen, and what
// axe-core finds. No style of a page depends on both its width and its colours, so two views show all that four would.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const urls = process.argv.slice(2);
let shots = "";
if (urls[0] === "--shots") [, shots] = urls.splice(0, 2);
const root = process.getuid?.() === 0;
const browser = await chromium.launch({
  executablePath: process.env.LAB_CHROMIUM || "/usr/bin/chromium",
  args: root ? ["--no-sandbox"] : [],
});
const VIEWS = [[360, "light"], [1600, "dark"]];

async function tooWide(page) {
  return page.evaluate(() => {
    const wide = document.documentElement.scrollWidth - innerWidth;
    const names = [...document.querySelectorAll("body *")]
      .filter((each) => !each.closest(".scroll") && each.getBoundingClientRect().right > innerWidth + 1)
      .map((each) => `${each.tagName} ${each.className} ${each.textContent.trim().slice(0, 40)}`);
    return wide > 0 ? `${wide} px too wide: ${names.slice(0, 5).join("; ")}` : "";
  });
}

// Texts in a column so narrow that they stand letter below letter.
async function crushed(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll("h1, h2, h3, p, li, dt, dd, th, td")]
      .filter((each) => each.textContent.trim().length > 12 && !each.closest(".sr"))
      .filter(({ offsetWidth }) => offsetWidth > 0 && offsetWidth < 48)
      .map((each) => `${each.tagName} ${each.textContent.trim().slice(0, 40)}`)
      .slice(0, 5),
  );
}

// Pages are opened one after the other in the same tab: a tab of its own for each costs a process, and ten times as long.
async function tab(width, colorScheme, bypassCSP) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, bypassCSP });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
  return { page, complaints };
}

// As a reader has it, the page's policy included.
async function read({ page, complaints }, url, width, colorScheme) {
  complaints.length = 0;
  await page.emulateMedia({ media: "screen", colorScheme });
  await page.setViewportSize({ width, height: 900 });
  await page.goto(url);
  if (!(await page.evaluate(() => getComputedStyle(document.body).maxWidth !== "none"))) {
    complaints.push("the style sheet was not applied");
  }
  await page.keyboard.press("Tab");
  if (!(await page.evaluate(() => document.activeElement.getBoundingClientRect().left >= 0))) {
    complaints.push("what Tab reaches first is not to be seen");
  }
  await page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));
  const wide = await tooWide(page);
  if (wide) complaints.push(`overflow: ${wide}`);
  for (const each of await crushed(page)) complaints.push(`letter below letter: ${each}`);
  if (shots) {
    const { pathname } = new URL(url);
    const name = `${path.basename(path.dirname(pathname))}-${path.basename(pathname, ".html")}`;
    await page.screenshot({ path: path.join(shots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
  }
  await page.emulateMedia({ media: "print", colorScheme });
  await page.setViewportSize({ width: 794, height: 1123 }); // A4 at 96 dpi
  const printed = await tooWide(page);
  if (printed) complaints.push(`in print ${printed}`);
  return [...complaints];
}

// The policy forbids scripts, axe-core's too: here it is set aside.
async function examine({ page }, url) {
  await page.goto(url);
  await page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"], preload: false }));
  return found.violations.map((each) => {
    const node = each.nodes[0];
    return `axe ${each.id} ×${each.nodes.length}: ${node.html.slice(0, 160)} ${node.failureSummary}`;
  });
}

async function look(width, colorScheme) {
  const reader = await tab(width, colorScheme, false);
  const judge = await tab(width, colorScheme, true);
  for (const url of urls) {
    const complaints = await read(reader, url, width, colorScheme);
    complaints.push(...(await examine(judge, url)));
    console.log(JSON.stringify({ url, width, colorScheme, complaints }));
  }
}

await Promise.all(VIEWS.map(([width, colorScheme]) => look(width, colorScheme)));
await browser.close();
