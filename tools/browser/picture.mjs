// The picture of a case's page in README and docs: draw it again when pages change.
//
//   lab demo poisoned-wrapper
//   node tools/browser/picture.mjs store/report/published_threadlocal/demo/poisoned-wrapper.html docs/case-page.png
import path from "node:path";
import { chromium } from "playwright-core";

const [page, out] = process.argv.slice(2);
const root = process.getuid?.() === 0;
const browser = await chromium.launch({
  executablePath: process.env.LAB_CHROMIUM || "/usr/bin/chromium",
  args: root ? ["--no-sandbox"] : [],
});
const tab = await browser.newPage({ viewport: { width: 1560, height: 1120 }, colorScheme: "light" });
await tab.goto(`file://${path.resolve(page)}`);
await tab.screenshot({ path: out });
await browser.close();
