"""Whether a page can be read: what is measured of it in a browser."""

from __future__ import annotations

# The text elements of a page that are hard to read: WCAG 2.2, 1.4.3, 4.5 to 1, or 3 to 1 where the letters are large.
FAINT = """() => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = (css) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = css;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
    const behind = (element) => {
        const below = element.parentElement ? behind(element.parentElement) : [255, 255, 255];
        return over(rgba(getComputedStyle(element).backgroundColor), below);
    };
    const light = (colour) => {
        const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one, other) => {
        const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const shown = (element) => element.checkVisibility({visibilityProperty: true}) && !element.closest(".unseen");
    const found = [];
    for (const element of document.body.querySelectorAll("*")) {
        const text = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data).join("").trim();
        if (!text || !shown(element) || element.matches("script, style, option")) continue;
        const style = getComputedStyle(element);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
        const back = behind(element);
        const front = over(rgba(element instanceof SVGElement ? style.fill : style.color), back);
        const ratio = contrast(front, back);
        if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)}: ${element.outerHTML.slice(0, 120)}`);
    }
    return found;
}"""
