/** Echo requests of the addon over real paths: lifecycle/echoes.mjs tells, echo-stories.ts knows the answers. */
import { it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { checkEchoes, ECHOES } from './echo-stories.ts';
import { wanted } from './stories.ts';

describeNeeds({ ...wanted, addon: true, tools: [...wanted.tools, 'nsenter'] }, 'echo requests', () => {
  it.each(Object.keys(ECHOES))('%s', (story) => checkEchoes(story, {}));
});
