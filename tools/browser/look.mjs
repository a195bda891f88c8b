// Opens pages in Chromium and says what a person would complain of, as JSON lines on stdout.
//
//   node look.mjs [--shots DIR] URL…
//
// For each page, width (360, 1600) and colour scheme (light, dark): errors on the console and failed requests, whether
// the page is wider than the window, what axe-core finds, and whether what can be reached by Tab has a visible name.
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
for (const url of urls) {
  const views = [[360, "light"], [360, "dark"], [1600, "light"], [1600, "dark"]];
  await Promise.all(views.map(async ([width, colorScheme]) => {
    // The policy of a page forbids scripts, axe-core's too; what is looked at is the page, not its policy.
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => complaints.push(`console ${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
    page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
    await page.goto(url);
    await page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) {
      const names = await page.evaluate(() => [...document.querySelectorAll("body *")]
        .filter((each) => !each.closest(".scroll") && each.getBoundingClientRect().right > innerWidth + 1)
        .map((each) => `${each.tagName} ${each.className} ${each.textContent.trim().slice(0, 40)}`).slice(0, 5));
      complaints.push(`overflow: ${wide} px too wide: ${names.join("; ")}`);
    }
    const styled = await page.evaluate(() => getComputedStyle(document.body).maxWidth !== "none");
    if (!styled) complaints.push("the style sheet was not applied");
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"], preload: false }));
    for (const each of found.violations) {
      const node = each.nodes[0];
      complaints.push(`axe ${each.id} ×${each.nodes.length}: ${node.html.slice(0, 160)} ${node.failureSummary}`);
    }
    if (shots) {
      const name = `${path.basename(path.dirname(new URL(url).pathname))}-${path.basename(new URL(url).pathname, ".html")}`;
      await page.screenshot({ path: path.join(shots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    }
    console.log(JSON.stringify({ url, width, colorScheme, complaints }));
    await context.close();
  }));
}
await browser.close();
