/** Colours as the server says them, as CSS and as a colour field reads them. */

import type { Vec3 } from "./types";

export const css = (color: Vec3): string => `rgb(${color.join(" ")})`;

/** "#rrggbb" */
export const toHex = (color: Vec3): string =>
  `#${color.map((part) => part.toString(16).padStart(2, "0")).join("")}`;

export const fromHex = (hex: string): Vec3 =>
  [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as Vec3;
