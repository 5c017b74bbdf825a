/** Line icons on a 20 by 20 grid, drawn in the colour of the text. */

const SHAPES = {
  navigate:
    "M10 2v16M2 10h16M10 2l-2 2.5M10 2l2 2.5M10 18l-2-2.5M10 18l2-2.5M2 10l2.5-2M2 10l2.5 2M18 10l-2.5-2M18 10l-2.5 2",
  point: "M10 10m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0M10 2v3M10 15v3M2 10h3M15 10h3",
  brush:
    "M16.5 3.5l-7 7M9.5 10.5c-2.4-.7-4.3.9-4.5 3.2-.1 1.3-.7 2-2 2.5 3 1.3 7.4 1 7.9-2.9.1-1.1-.4-2.2-1.4-2.8zM9.5 10.5l1.4 2.8M16.5 3.5l-5.6 9.8",
  eraser:
    "M7.5 16.5l-4-4a1.2 1.2 0 0 1 0-1.7l7.3-7.3a1.2 1.2 0 0 1 1.7 0l4 4a1.2 1.2 0 0 1 0 1.7l-7.3 7.3zM6.8 7.5l5.7 5.7M7 16.5h10",
  undo: "M7 4L3 8l4 4M3 8h8.5a4.5 4.5 0 0 1 0 9H8",
  redo: "M13 4l4 4-4 4M17 8H8.5a4.5 4.5 0 0 0 0 9H12",
  eye: "M1.5 10S4.5 4.5 10 4.5 18.5 10 18.5 10 15.5 15.5 10 15.5 1.5 10 1.5 10zM10 10m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0",
  eyeOff: "M1.5 10S4.5 4.5 10 4.5 18.5 10 18.5 10 15.5 15.5 10 15.5 1.5 10 1.5 10zM3 17L17 3",
  lock: "M5 9h10v8H5zM7 9V6.5a3 3 0 0 1 6 0V9",
  unlock: "M5 9h10v8H5zM7 9V5.5a3 3 0 0 1 5.8-1",
  trash: "M3.5 5.5h13M8 5.5V3.5h4v2M5 5.5l.8 11.5h8.4L15 5.5M8.5 8.5v5.5M11.5 8.5v5.5",
  reset: "M4 4v4h4M4.5 8A6.5 6.5 0 1 1 3.6 11.5",
  rename: "M3.5 16.5l.8-3.5 9-9 2.7 2.7-9 9zM11.5 5.8l2.7 2.7",
  target: "M10 10m-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0M10 2v4M10 14v4M2 10h4M14 10h4",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  close: "M5 5l10 10M15 5L5 15",
  folder: "M2.5 5.5h5l1.5 2h8.5v8.5h-15z",
  file: "M5 2.5h6.5L15.5 6.5v11H5zM11.5 2.5v4h4",
  export: "M10 3v9M6.5 8.5L10 12l3.5-3.5M3.5 13v3.5h13V13",
  theme: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14",
  help: "M7.5 7.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M10 14.5v.1M10 10m-7.5 0a7.5 7.5 0 1 0 15 0a7.5 7.5 0 1 0-15 0",
  search: "M9 9m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0M13 13l4 4",
  chevron: "M6 8l4 4 4-4",
  spark: "M10 2.5l1.8 5.7 5.7 1.8-5.7 1.8L10 17.5l-1.8-5.7L2.5 10l5.7-1.8z",
  check: "M4 10.5l4 4 8-9",
  home: "M3 9.5L10 3.5l7 6M5 8.5V16.5h10V8.5",
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true">
      <path d={SHAPES[name]} />
    </svg>
  );
}

/** A button that shows an icon and says its name to those who cannot see it. */
export function IconButton(props: {
  icon: IconName;
  label: string;
  onClick: () => void;
  pressed?: boolean;
  disabled?: boolean;
  keys?: string;
  class?: string;
}) {
  const title = props.keys ? `${props.label} (${props.keys})` : props.label;
  return (
    <button
      type="button"
      class={`icon-button ${props.class ?? ""}`}
      aria-label={props.label}
      aria-keyshortcuts={props.keys}
      aria-pressed={props.pressed}
      title={title}
      disabled={props.disabled}
      onClick={(e) => {
        e.stopPropagation();
        props.onClick();
      }}
    >
      <Icon name={props.icon} />
    </button>
  );
}
