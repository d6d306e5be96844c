/** What is taken out of a text before it is logged or kept, and what is left in it. */
import { expect, test } from 'vitest';
import { redacted } from '../../src/schema/redacted.ts';

test.each([
  ['token sp-api-00ff and sp-run-00ff, sp-join-00ff', 'token sp-api-[secret] and sp-run-[secret], sp-join-[secret]'],
  ['"authorization":"Bearer abc.def-_="', '"authorization":"Bearer [secret]"'],
  ['secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=, kept', 'secret whsec_[secret], kept'],
  ['node token eyJhbGciOiJIUzI1NiJ9.eyJBbGxvdyI6WyJyZWFkIl19.c2lnbmF0dXJlLW9m', 'node token [token]'],
  ['GET http://h:1/objects/a/b?expires=1&signature=ff failed', 'GET http://h:1/objects/a/b?[query] failed'],
  ['{\\"url\\":\\"https://s3.test/b/k?X-Amz-Signature=ff\\"}', '{\\"url\\":\\"https://s3.test/b/k?[query]\\"}'],
  ['PUT /objects/-/uploads/1/2?expires=1&signature=ff', 'PUT /objects/-/uploads/1/2?expires=1&signature=[secret]'],
  ['/b/k?X-Amz-Credential=a%2Fb&X-Amz-Date=1&X-Amz-Signature=ff', '/b/k?X-Amz-Credential=[secret]&X-Amz-Date=1&X-Amz-Signature=[secret]'],
  ['http://user:word@node.test/rpc', 'http://[secret]@node.test/rpc'],
  [
    'sector s-t01000-7 of j-abc at http://h:1/v1/sectors, mail a@b.test',
    'sector s-t01000-7 of j-abc at http://h:1/v1/sectors, mail a@b.test',
  ],
])('%s', (text, wanted) => {
  expect(redacted(text)).toBe(wanted);
});
