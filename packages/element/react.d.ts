/** The element in JSX of React 19: `import type {} from "@finch-connections/element/react"`. */

import type { DetailedHTMLProps, HTMLAttributes } from "react";
import type {
  FinchConnections,
  FinchConnectionsAttributes,
  FinchConnectionsEvents,
  FinchConnectionsProperties,
} from "./types/index.d.ts";

type Listeners = {
  [Name in keyof FinchConnectionsEvents as `on${Name}`]?: (
    event: FinchConnectionsEvents[Name],
  ) => void;
};

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "finch-connections": DetailedHTMLProps<HTMLAttributes<FinchConnections>, FinchConnections> &
        FinchConnectionsAttributes &
        Partial<FinchConnectionsProperties> &
        Listeners;
    }
  }
}
