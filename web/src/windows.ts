/** CT window presets in Hounsfield units, in the order of their number keys. */

export interface CtWindow {
  level: number;
  width: number;
}

/** The darkest and the brightest intensity. */
export const limits = ({ level, width }: CtWindow): [number, number] => [
  level - width / 2,
  level + width / 2,
];

export const CT_WINDOWS: (CtWindow & { name: string })[] = [
  { name: "Soft tissue", level: 40, width: 400 },
  { name: "Lung", level: -600, width: 1500 },
  { name: "Bone", level: 400, width: 1800 },
  { name: "Brain", level: 40, width: 80 },
  { name: "Mediastinum", level: 50, width: 350 },
  { name: "Full range", level: 500, width: 3000 },
];
