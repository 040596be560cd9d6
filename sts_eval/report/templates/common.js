"use strict";
// Shared by the other scripts of a page; page.py joins them into one.
// Everything that comes from a run is set as text or as numbers, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const clamp = (value, lo, hi) => Math.min(hi, Math.max(lo, value));
const block = (id) => document.getElementById(id)?.textContent;

function svg(name, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}

function bytes(base64) {
  const binary = atob(base64);
  const array = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) array[i] = binary.charCodeAt(i);
  return array;
}

const pen = document.createElement("canvas").getContext("2d");
function textWidth(text) {
  pen.font = "11px " + getComputedStyle(document.body).fontFamily;
  return pen.measureText(text).width;
}
