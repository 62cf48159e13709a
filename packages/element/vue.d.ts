/** The element in templates of Vue: `import type {} from "@finch-connections/element/vue"`. */

import type { HTMLAttributes } from "vue";
import type {
  FinchConnectionsAttributes,
  FinchConnectionsEvents,
  FinchConnectionsProperties,
} from "./types/index.d.ts";

type Camel<Name> = Name extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<Camel<Rest>>}`
  : Name;

type Attributes = {
  [Name in keyof FinchConnectionsAttributes as Camel<Name>]: FinchConnectionsAttributes[Name];
};

type Listeners = {
  [Name in keyof FinchConnectionsEvents as `on${Capitalize<Camel<Name>>}`]?: (
    event: FinchConnectionsEvents[Name],
  ) => void;
};

declare module "vue" {
  interface GlobalComponents {
    "finch-connections": new () => {
      $props: HTMLAttributes & Attributes & Partial<FinchConnectionsProperties> & Listeners;
    };
  }
}
