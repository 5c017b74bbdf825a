/** How panels reach the annotator. */

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Annotator } from "./annotator";

export const AnnotatorContext = createContext<Annotator | null>(null);

export function useAnnotator(): Annotator {
  const annotator = useContext(AnnotatorContext);
  if (!annotator) throw new Error("a panel was put outside of the page");
  return annotator;
}
