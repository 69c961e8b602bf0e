// What keeps a page from being read aloud, or by poor eyes: a list of sentences.
() => {
  const found = [];
  const ids = [...document.querySelectorAll("[id]")].map(each => each.id);
  found.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map(id => `${id} is there twice`));
  for (const each of document.querySelectorAll("button, a, select, input, [role=region], details")) {
    const name = each.getAttribute("aria-label") || [...(each.labels ?? [])].map(label => label.textContent).join("") || each.textContent;
    if (!name.trim()) found.push(`${each.outerHTML} has no name`);
  }
  let level = 0;
  for (const each of document.querySelectorAll("h1, h2, h3, h4")) {
    if (!each.checkVisibility()) continue;
    if (Number(each.tagName[1]) > level + 1) found.push(`${each.outerHTML} comes after a level ${level}`);
    level = Number(each.tagName[1]);
  }
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const colour = text => text.match(/[\d.]+/g).map(Number);
  const behind = each => { for (; each; each = each.parentElement) {
    const [r, g, b, a = 1] = colour(getComputedStyle(each).backgroundColor); if (a === 1) return [r, g, b]; } return [255, 255, 255]; };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const each = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !each.checkVisibility() || each.closest(".unseen, .skip, script, noscript, option")) continue;
    const [a, b] = [light(colour(getComputedStyle(each).color)), light(behind(each))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(`${walk.currentNode.data.trim().slice(0, 40)}: ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
  }
  return found;
}
