import { describe, expect, it } from '@jest/globals';
import { JsonError, JsonParser, applyEdits, jsonValue, parseJson } from './index.ts';
import type { JsonErrorCode, JsonLimits, JsonNode } from './index.ts';
import { cpuMs } from '../../test/support/cost.ts';

function refusal(text: string, limits?: JsonLimits): { code: JsonErrorCode; offset: number } | undefined {
  try {
    parseJson(text, limits);
    return undefined;
  } catch (error) {
    if (error instanceof JsonError) return { code: error.code, offset: error.offset };
    throw error;
  }
}

/**
 * Cases of nst/JSONTestSuite, `test_parsing/` (MIT, Nicolas Seriot), by their file names without `.json`. Left out are the files that
 * are not UTF-8: bytes are decoded before this parser. `n_structure_100000_opening_arrays` stands below.
 */
const accepted: readonly (readonly [string, string])[] = [
  ['y_array_arraysWithSpaces', '[[]   ]'],
  ['y_array_empty-string', '[""]'],
  ['y_array_empty', '[]'],
  ['y_array_ending_with_newline', '["a"]'],
  ['y_array_false', '[false]'],
  ['y_array_heterogeneous', '[null, 1, "1", {}]'],
  ['y_array_null', '[null]'],
  ['y_array_with_1_and_newline', '[1\n]'],
  ['y_array_with_leading_space', ' [1]'],
  ['y_array_with_several_null', '[1,null,null,null,2]'],
  ['y_array_with_trailing_space', '[2] '],
  ['y_number', '[123e65]'],
  ['y_number_0e+1', '[0e+1]'],
  ['y_number_0e1', '[0e1]'],
  ['y_number_after_space', '[ 4]'],
  [
    'y_number_double_close_to_zero',
    '[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]',
  ],
  ['y_number_int_with_exp', '[20e1]'],
  ['y_number_minus_zero', '[-0]'],
  ['y_number_negative_int', '[-123]'],
  ['y_number_negative_one', '[-1]'],
  ['y_number_real_capital_e', '[1E22]'],
  ['y_number_real_capital_e_neg_exp', '[1E-2]'],
  ['y_number_real_capital_e_pos_exp', '[1E+2]'],
  ['y_number_real_exponent', '[123e45]'],
  ['y_number_real_fraction_exponent', '[123.456e78]'],
  ['y_number_real_neg_exp', '[1e-2]'],
  ['y_number_simple_real', '[123.456789]'],
  ['y_object', '{"asd":"sdf", "dfg":"fgh"}'],
  ['y_object_basic', '{"asd":"sdf"}'],
  ['y_object_empty', '{}'],
  ['y_object_empty_key', '{"":0}'],
  ['y_object_escaped_null_in_key', '{"foo\\u0000bar": 42}'],
  ['y_object_extreme_numbers', '{ "min": -1.0e+28, "max": 1.0e+28 }'],
  [
    'y_object_long_strings',
    '{"x":[{"id": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}], "id": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}',
  ],
  ['y_object_simple', '{"a":[]}'],
  [
    'y_object_string_unicode',
    '{"title":"\\u041f\\u043e\\u043b\\u0442\\u043e\\u0440\\u0430 \\u0417\\u0435\\u043c\\u043b\\u0435\\u043a\\u043e\\u043f\\u0430" }',
  ],
  ['y_object_with_newlines', '{\n"a": "b"\n}'],
  ['y_string_1_2_3_bytes_UTF-8_sequences', '["\\u0060\\u012a\\u12AB"]'],
  ['y_string_accepted_surrogate_pair', '["\\uD801\\udc37"]'],
  ['y_string_accepted_surrogate_pairs', '["\\ud83d\\ude39\\ud83d\\udc8d"]'],
  ['y_string_allowed_escapes', '["\\"\\\\\\/\\b\\f\\n\\r\\t"]'],
  ['y_string_backslash_and_u_escaped_zero', '["\\\\u0000"]'],
  ['y_string_backslash_doublequotes', '["\\""]'],
  ['y_string_comments', '["a/*b*/c/*d//e"]'],
  ['y_string_double_escape_a', '["\\\\a"]'],
  ['y_string_double_escape_n', '["\\\\n"]'],
  ['y_string_escaped_control_character', '["\\u0012"]'],
  ['y_string_escaped_noncharacter', '["\\uFFFF"]'],
  ['y_string_in_array_with_leading_space', '[ "asd"]'],
  ['y_string_last_surrogates_1_and_2', '["\\uDBFF\\uDFFF"]'],
  ['y_string_nbsp_uescaped', '["new\\u00A0line"]'],
  ['y_string_nonCharacterInUTF-8_U+10FFFF', '["\udbff\udfff"]'],
  ['y_string_nonCharacterInUTF-8_U+FFFF', '["\uffff"]'],
  ['y_string_null_escape', '["\\u0000"]'],
  ['y_string_one-byte-utf-8', '["\\u002c"]'],
  ['y_string_pi', '["π"]'],
  ['y_string_simple_ascii', '["asd "]'],
  ['y_string_space', '" "'],
  ['y_string_surrogates_U+1D11E_MUSICAL_SYMBOL_G_CLEF', '["\\uD834\\uDd1e"]'],
  ['y_string_u+2028_line_sep', '["\u2028"]'],
  ['y_string_u+2029_par_sep', '["\u2029"]'],
  ['y_string_uEscape', '["\\u0061\\u30af\\u30EA\\u30b9"]'],
  ['y_string_unescaped_char_delete', '["\u007f"]'],
  ['y_string_unicodeEscapedBackslash', '["\\u005C"]'],
  ['y_string_unicode_U+200B_ZERO_WIDTH_SPACE', '["\\u200B"]'],
  ['y_string_with_del_character', '["a\u007fa"]'],
  ['y_structure_lonely_false', 'false'],
  ['y_structure_lonely_int', '42'],
  ['y_structure_lonely_negative_real', '-0.1'],
  ['y_structure_lonely_null', 'null'],
  ['y_structure_lonely_string', '"asd"'],
  ['y_structure_lonely_true', 'true'],
  ['y_structure_string_empty', '""'],
  ['y_structure_trailing_newline', '["a"]\n'],
  ['y_structure_true_in_array', '[true]'],
  ['y_structure_whitespace_array', ' [] '],
];

const malformed: readonly (readonly [string, string])[] = [
  ['n_array_1_true_without_comma', '[1 true]'],
  ['n_array_colon_instead_of_comma', '["": 1]'],
  ['n_array_comma_after_close', '[""],'],
  ['n_array_comma_and_number', '[,1]'],
  ['n_array_double_comma', '[1,,2]'],
  ['n_array_double_extra_comma', '["x",,]'],
  ['n_array_extra_close', '["x"]]'],
  ['n_array_extra_comma', '["",]'],
  ['n_array_incomplete', '["x"'],
  ['n_array_incomplete_invalid_value', '[x'],
  ['n_array_inner_array_no_comma', '[3[4]]'],
  ['n_array_items_separated_by_semicolon', '[1:2]'],
  ['n_array_just_comma', '[,]'],
  ['n_array_just_minus', '[-]'],
  ['n_array_missing_value', '[   , ""]'],
  ['n_array_newlines_unclosed', '["a",\n4\n,1,'],
  ['n_array_number_and_comma', '[1,]'],
  ['n_array_number_and_several_commas', '[1,,]'],
  ['n_array_spaces_vertical_tab_formfeed', '["\u000ba"\\f]'],
  ['n_array_star_inside', '[*]'],
  ['n_array_unclosed', '[""'],
  ['n_array_unclosed_trailing_comma', '[1,'],
  ['n_array_unclosed_with_new_lines', '[1,\n1\n,1'],
  ['n_array_unclosed_with_object_inside', '[{}'],
  ['n_incomplete_false', '[fals]'],
  ['n_incomplete_null', '[nul]'],
  ['n_incomplete_true', '[tru]'],
  ['n_multidigit_number_then_00', '123\u0000'],
  ['n_number_++', '[++1234]'],
  ['n_number_+1', '[+1]'],
  ['n_number_+Inf', '[+Inf]'],
  ['n_number_-01', '[-01]'],
  ['n_number_-1.0.', '[-1.0.]'],
  ['n_number_-2.', '[-2.]'],
  ['n_number_-NaN', '[-NaN]'],
  ['n_number_.-1', '[.-1]'],
  ['n_number_.2e-3', '[.2e-3]'],
  ['n_number_0.1.2', '[0.1.2]'],
  ['n_number_0.3e+', '[0.3e+]'],
  ['n_number_0.3e', '[0.3e]'],
  ['n_number_0.e1', '[0.e1]'],
  ['n_number_0_capital_E+', '[0E+]'],
  ['n_number_0e+', '[0e+]'],
  ['n_number_1.0e+', '[1.0e+]'],
  ['n_number_1.0e-', '[1.0e-]'],
  ['n_number_1_000', '[1 000.0]'],
  ['n_number_1eE2', '[1eE2]'],
  ['n_number_2.e3', '[2.e3]'],
  ['n_number_9.e+', '[9.e+]'],
  ['n_number_Inf', '[Inf]'],
  ['n_number_NaN', '[NaN]'],
  ['n_number_U+FF11_fullwidth_digit_one', '[\uff11]'],
  ['n_number_expression', '[1+2]'],
  ['n_number_hex_1_digit', '[0x1]'],
  ['n_number_infinity', '[Infinity]'],
  ['n_number_invalid+-', '[0e+-1]'],
  ['n_number_invalid-negative-real', '[-123.123foo]'],
  ['n_number_minus_infinity', '[-Infinity]'],
  ['n_number_minus_sign_with_trailing_garbage', '[-foo]'],
  ['n_number_minus_space_1', '[- 1]'],
  ['n_number_neg_int_starting_with_zero', '[-012]'],
  ['n_number_neg_real_without_int_part', '[-.123]'],
  ['n_number_neg_with_garbage_at_end', '[-1x]'],
  ['n_number_real_garbage_after_e', '[1ea]'],
  ['n_number_real_without_fractional_part', '[1.]'],
  ['n_number_starting_with_dot', '[.123]'],
  ['n_number_with_alpha', '[1.2a-3]'],
  ['n_number_with_alpha_char', '[1.8011670033376514H-308]'],
  ['n_number_with_leading_zero', '[012]'],
  ['n_object_bad_value', '["x", truth]'],
  ['n_object_bracket_key', '{[: "x"}\n'],
  ['n_object_comma_instead_of_colon', '{"x", null}'],
  ['n_object_double_colon', '{"x"::"b"}'],
  ['n_object_emoji', '{🇨🇭}'],
  ['n_object_garbage_at_end', '{"a":"a" 123}'],
  ['n_object_key_with_single_quotes', "{key: 'value'}"],
  ['n_object_missing_colon', '{"a" b}'],
  ['n_object_missing_key', '{:"b"}'],
  ['n_object_missing_semicolon', '{"a" "b"}'],
  ['n_object_missing_value', '{"a":'],
  ['n_object_no-colon', '{"a"'],
  ['n_object_non_string_key', '{1:1}'],
  ['n_object_non_string_key_but_huge_number_instead', '{9999E9999:1}'],
  ['n_object_repeated_null_null', '{null:null,null:null}'],
  ['n_object_several_trailing_commas', '{"id":0,,,,,}'],
  ['n_object_single_quote', "{'a':0}"],
  ['n_object_trailing_comma', '{"id":0,}'],
  ['n_object_trailing_comment', '{"a":"b"}/**/'],
  ['n_object_trailing_comment_open', '{"a":"b"}/**//'],
  ['n_object_trailing_comment_slash_open', '{"a":"b"}//'],
  ['n_object_two_commas_in_a_row', '{"a":"b",,"c":"d"}'],
  ['n_object_unquoted_key', '{a: "b"}'],
  ['n_object_unterminated-value', '{"a":"a'],
  ['n_object_with_single_string', '{ "foo" : "bar", "a" }'],
  ['n_object_with_trailing_garbage', '{"a":"b"}#'],
  ['n_single_space', ' '],
  ['n_string_1_surrogate_then_escape', '["\\uD800\\"]'],
  ['n_string_1_surrogate_then_escape_u', '["\\uD800\\u"]'],
  ['n_string_1_surrogate_then_escape_u1', '["\\uD800\\u1"]'],
  ['n_string_1_surrogate_then_escape_u1x', '["\\uD800\\u1x"]'],
  ['n_string_accentuated_char_no_quotes', '[é]'],
  ['n_string_backslash_00', '["\\\u0000"]'],
  ['n_string_escape_x', '["\\x00"]'],
  ['n_string_escaped_backslash_bad', '["\\\\\\"]'],
  ['n_string_escaped_ctrl_char_tab', '["\\\t"]'],
  ['n_string_escaped_emoji', '["\\🌀"]'],
  ['n_string_incomplete_escape', '["\\"]'],
  ['n_string_incomplete_escaped_character', '["\\u00A"]'],
  ['n_string_incomplete_surrogate', '["\\uD834\\uDd"]'],
  ['n_string_incomplete_surrogate_escape_invalid', '["\\uD800\\uD800\\x"]'],
  ['n_string_invalid_backslash_esc', '["\\a"]'],
  ['n_string_invalid_unicode_escape', '["\\uqqqq"]'],
  ['n_string_leading_uescaped_thinspace', '[\\u0020"asd"]'],
  ['n_string_no_quotes_with_bad_escape', '[\\n]'],
  ['n_string_single_doublequote', '"'],
  ['n_string_single_quote', "['single quote']"],
  ['n_string_single_string_no_double_quotes', 'abc'],
  ['n_string_start_escape_unclosed', '["\\'],
  ['n_string_unescaped_ctrl_char', '["a\u0000a"]'],
  ['n_string_unescaped_newline', '["new\nline"]'],
  ['n_string_unescaped_tab', '["\t"]'],
  ['n_string_unicode_CapitalU', '"\\UA66D"'],
  ['n_string_with_trailing_garbage', '""x'],
  ['n_structure_U+2060_word_joined', '[\u2060]'],
  ['n_structure_UTF8_BOM_no_data', '\ufeff'],
  ['n_structure_angle_bracket_.', '<.>'],
  ['n_structure_angle_bracket_null', '[<null>]'],
  ['n_structure_array_trailing_garbage', '[1]x'],
  ['n_structure_array_with_extra_array_close', '[1]]'],
  ['n_structure_array_with_unclosed_string', '["asd]'],
  ['n_structure_ascii-unicode-identifier', 'aå'],
  ['n_structure_capitalized_True', '[True]'],
  ['n_structure_close_unopened_array', '1]'],
  ['n_structure_comma_instead_of_closing_brace', '{"x": true,'],
  ['n_structure_double_array', '[][]'],
  ['n_structure_end_array', ']'],
  ['n_structure_no_data', ''],
  ['n_structure_null-byte-outside-string', '[\u0000]'],
  ['n_structure_number_with_trailing_garbage', '2@'],
  ['n_structure_object_followed_by_closing_object', '{}}'],
  ['n_structure_object_unclosed_no_value', '{"":'],
  ['n_structure_object_with_comment', '{"a":/*comment*/"b"}'],
  ['n_structure_object_with_trailing_garbage', '{"a": true} "x"'],
  ['n_structure_open_array_apostrophe', "['"],
  ['n_structure_open_array_comma', '[,'],
  ['n_structure_open_array_open_object', '[{'],
  ['n_structure_open_array_open_string', '["a'],
  ['n_structure_open_array_string', '["a"'],
  ['n_structure_open_object', '{'],
  ['n_structure_open_object_close_array', '{]'],
  ['n_structure_open_object_comma', '{,'],
  ['n_structure_open_object_open_array', '{['],
  ['n_structure_open_object_open_string', '{"a'],
  ['n_structure_open_object_string_with_apostrophes', "{'a'"],
  ['n_structure_open_open', '["\\{["\\{["\\{["\\{'],
  ['n_structure_single_star', '*'],
  ['n_structure_trailing_#', '{"a":"b"}#{}'],
  ['n_structure_uescaped_LF_before_string', '[\\u000A""]'],
  ['n_structure_unclosed_array', '[1'],
  ['n_structure_unclosed_array_partial_null', '[ false, nul'],
  ['n_structure_unclosed_array_unfinished_true', '[ true, tru'],
  ['n_structure_unclosed_object', '{"asd":"asd"'],
  ['n_structure_whitespace_U+2060_word_joiner', '\u2060'],
  ['n_structure_whitespace_formfeed', '[\f]'],
  // Not of the suite: other white space, and both brackets crossed
  ['a no-break space', '\u00a0[]'],
  ['a line separator', '[]\u2028'],
  ['crossed brackets', '[{]}'],
  ['a byte order mark in front (RFC 8259, 8.1)', '\ufeff{}'],
  ['a number that a word follows', '[1null]'],
  ['words without a comma', '[truefalse]'],
  ['strings without a comma', '["a""b"]'],
];

/** `i_`: implementations differ, which is why these are refused. */
const ambiguous: readonly (readonly [string, string, JsonErrorCode])[] = [
  ['i_object_key_lone_2nd_surrogate', '{"\\uDFAA":0}', 'surrogate'],
  ['i_string_1st_surrogate_but_2nd_missing', '["\\uDADA"]', 'surrogate'],
  ['i_string_1st_valid_surrogate_2nd_invalid', '["\\uD888\\u1234"]', 'surrogate'],
  ['i_string_incomplete_surrogate_and_escape_valid', '["\\uD800\\n"]', 'surrogate'],
  ['i_string_incomplete_surrogate_pair', '["\\uDd1ea"]', 'surrogate'],
  ['i_string_incomplete_surrogates_escape_valid', '["\\uD800\\uD800\\n"]', 'surrogate'],
  ['i_string_inverted_surrogates_U+1D11E', '["\\uDd1e\\uD834"]', 'surrogate'],
  ['i_string_lone_second_surrogate', '["\\uDFAA"]', 'surrogate'],
  ['i_structure_UTF-8_BOM_empty_object', '\ufeff{}', 'syntax'],
  ['i_structure_500_nested_arrays', '['.repeat(500) + ']'.repeat(500), 'depth'],
  ['y_object_duplicated_key', '{"a":"b","a":"c"}', 'duplicate_key'],
  ['y_object_duplicated_key_and_value', '{"a":"b","a":"b"}', 'duplicate_key'],
  ['n_structure_100000_opening_arrays', '['.repeat(100_000), 'depth'],
  ['n_structure_open_array_object', '[{"":'.repeat(50_000), 'depth'],
  ['duplicates by an escape', '{"model":"a","m\\u006fdel":"b"}', 'duplicate_key'],
  ['duplicates by an escaped solidus', '{"a/b":1,"a\\/b":2}', 'duplicate_key'],
  ['duplicates far apart', `{${Array.from({ length: 40 }, (_, at) => `"k${at}":0`).join()},"k3":1}`, 'duplicate_key'],
  [
    'duplicates among the first sixteen of many',
    `{${Array.from({ length: 15 }, (_, at) => `"k${at}":0`).join()},"k0":1}`,
    'duplicate_key',
  ],
  [
    'a duplicate as the seventeenth key',
    `{${Array.from({ length: 16 }, (_, at) => `"k${at}":0`).join()},"k15":1}`,
    'duplicate_key',
  ],
  ['duplicates of __proto__', '{"__proto__":1,"__proto__":2}', 'duplicate_key'],
];

describe('JSON that every parser reads alike', () => {
  it.each(accepted)('%s is read as JSON.parse reads it', (_, text) => {
    expect(JSON.stringify(jsonValue(parseJson(text)))).toBe(JSON.stringify(JSON.parse(text)));
  });

  it.each(malformed)('%s is a syntax error, in one step and in many', (_, text) => {
    expect(refusal(text)).toBeDefined();
    expect(refusal(text, { loneSurrogates: true })?.code).toBe('syntax');
    const parser = new JsonParser(text);
    expect(() => {
      for (let step = 0; step < 1_000; step++) parser.run(1);
    }).toThrow(JsonError);
  });

  it.each(ambiguous)('%s is refused', (_, text, code) => {
    expect(refusal(text)?.code).toBe(code);
  });

  it.each([
    ['a half at the end', '"\\ud83d"', '\ud83d'],
    ['a half at the start', '"\\ude00x"', '\ude00x'],
    ['a literal half', '"\ud83d"', '\ud83d'],
    ['a literal half before an escaped one', '"\ud83d\\ude00"', '😀'],
    ['an escaped half before a literal one', '"\\ud83d\ude00"', '😀'],
    ['two first halves', '"\\ud83d\\ud83d\\ude00"', '\ud83d😀'],
  ])('halves of surrogate pairs are kept where a stream may have cut them: %s', (_, text, value) => {
    expect(parseJson(text, { loneSurrogates: true }).text).toBe(value);
  });

  it('says where it failed, and never quotes the text', () => {
    const secret = '{"card":"4111111111111111", oops}';
    expect(() => parseJson(secret)).toThrow('expected a key at offset 28');
    expect(refusal(secret)?.offset).toBe(28);
  });
});

describe('limits', () => {
  it('allow nesting up to the depth, and no further', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(refusal(nested(64))).toBeUndefined();
    expect(refusal(nested(65))?.code).toBe('depth');
    expect(refusal(nested(3), { maxDepth: 2 })?.code).toBe('depth');
    expect(refusal('[[1,2]]', { maxDepth: 2 })).toBeUndefined();
  });

  it('count values and keys', () => {
    expect(refusal('{"a":["b",null]}', { maxNodes: 5 })).toBeUndefined();
    expect(refusal('{"a":["b",null]}', { maxNodes: 4 })?.code).toBe('nodes');
  });

  it('count an array of numbers once, and one of numbers and words by its elements', () => {
    expect(refusal(`[${'1,'.repeat(999)}1]`, { maxNodes: 1 })).toBeUndefined();
    expect(refusal(`[${'1,'.repeat(999)}null]`, { maxNodes: 500 })?.code).toBe('nodes');
  });
});

describe('arrays of numbers', () => {
  it.each([
    ['[1, -2 ,0]', 'integers', 3],
    ['[1,2.5]', 'numbers', 2],
    ['[1e3]', 'numbers', 1],
    ['[1E3]', 'numbers', 1],
    ['[-0]', 'integers', 1],
    ['[]', undefined, 0],
    ['[1,null]', undefined, 0],
    ['[null,1]', undefined, 0],
    ['[1,"2"]', undefined, 0],
    ['[1,[2]]', undefined, 0],
  ])('%s: %s', (text, numbers, count) => {
    const node = parseJson(text);
    expect([node.numbers, node.numberCount]).toEqual([numbers, count]);
    expect(jsonValue(node)).toEqual(JSON.parse(text));
  });

  it('have nodes with their spans when they are asked for', () => {
    const text = '{"a":[ 10 ,\n-2.5e+1,3]}';
    const array = parseJson(text).get('a');
    expect(array?.items.map((item) => text.slice(item.start, item.end))).toEqual(['10', '-2.5e+1', '3']);
    expect(array?.items.map((item) => item.number)).toEqual([10, -25, 3]);
    expect(array?.items).toBe(array?.items);
  });

  it('nested in one another are read in linear time', () => {
    // Each array begins with numbers and turns out to be mixed.
    const text = `${'[1,1,1,'.repeat(60)}1${']'.repeat(60)}`;
    expect(jsonValue(parseJson(text))).toEqual(JSON.parse(text));
    const wide = `[${'[1,2,"a"],'.repeat(50_000)}0]`;
    expect(cpuMs(() => expect(parseJson(wide).items).toHaveLength(50_001))).toBeLessThan(2_000);
  });
});

describe('nodes', () => {
  const text = ' {"a" : "x\\ny", "b":[1.50, true,null , "😀"]} ';
  const root = parseJson(text);

  it('know where they stand and how they are spelled', () => {
    const spelled = (node: JsonNode | undefined): string => text.slice(node?.start, node?.end);
    expect(spelled(root)).toBe(text.trim());
    expect(spelled(root.get('a'))).toBe('"x\\ny"');
    expect(root.get('b')?.items.map(spelled)).toEqual(['1.50', 'true', 'null', '"😀"']);
    expect(root.keys.map(spelled)).toEqual(['"a"', '"b"']);
    expect(root.get('b')?.items[0]?.text).toBe('1.50');
  });

  it('give their value by kind, and undefined for another kind', () => {
    const [number, truth, nothing, face] = root.get('b')?.items ?? [];
    expect([number?.number, number?.string, number?.boolean]).toEqual([1.5, undefined, undefined]);
    expect([truth?.boolean, truth?.number]).toEqual([true, undefined]);
    expect([nothing?.kind, nothing?.boolean, nothing?.string]).toEqual(['null', undefined, undefined]);
    expect([face?.string, face?.escaped, root.get('a')?.escaped]).toEqual(['😀', false, true]);
    expect(root.get('absent')).toBeUndefined();
    expect(face?.get('a')).toBeUndefined();
  });

  it('share one copy of a key that does not keep its source alive', () => {
    const one = parseJson('{"finish_reason":1}').keys[0];
    const two = parseJson('{"finish_reason":2}').keys[0];
    expect(one?.text).toBe('finish_reason');
    expect(two?.text).toBe('finish_reason');
  });

  it('make plain values without a prototype', () => {
    const value = jsonValue(parseJson('{"__proto__":{"admin":true},"constructor":1}')) as Record<string, unknown>;
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });
});

describe('parsing in steps', () => {
  const text = '{"a":[1,2.5,{"b":"\\ud83d\\ude00 long text here"}],"n":[1,2,3,4,5],"m":[1,2,"x"]}';

  it.each([1, 2, 3, 7, 1_000])('of %d units gives the same tree', (units) => {
    const parser = new JsonParser(text);
    let root = parser.run(units);
    for (let step = 0; root === undefined && step < 1_000; step++) root = parser.run(units);
    expect(jsonValue(root!)).toEqual(JSON.parse(text));
    expect(parser.offset).toBe(text.length);
  });

  it.each([
    ['a long string', JSON.stringify({ a: 'x'.repeat(1_000_000) })],
    ['a long string of escapes', JSON.stringify({ a: '\n'.repeat(500_000) })],
    ['a long string of pairs', JSON.stringify({ a: '😀'.repeat(500_000) })],
    ['a long key', JSON.stringify({ ['k'.repeat(1_000_000)]: 1 })],
    ['many numbers', JSON.stringify(Array.from({ length: 300_000 }, (_, at) => at))],
    ['many numbers and a word', JSON.stringify([...Array.from({ length: 300_000 }, (_, at) => at), 'x'])],
    ['many values', JSON.stringify(Array.from({ length: 100_000 }, () => ['a', null]))],
  ])('stops soon after its budget in %s', (_, long) => {
    const parser = new JsonParser(long);
    let before = 0;
    let root = parser.run(10_000);
    while (root === undefined) {
      expect(parser.offset - before).toBeLessThanOrEqual(10_000 + 2 * 65_536 + 64);
      before = parser.offset;
      root = parser.run(10_000);
    }
    expect(JSON.stringify(jsonValue(root))).toBe(long);
  });

  it('gives the root again when it is asked again', () => {
    const parser = new JsonParser('[1]');
    expect(parser.run()).toBe(parser.run());
  });
});

describe('edits', () => {
  it('replace exactly what they mean', () => {
    const text = '{ "a" : 1e2 ,"b":"x"}';
    const root = parseJson(text);
    const [a, b] = root.items;
    expect(
      applyEdits(text, [
        { start: b!.start, end: b!.end, text: '"y"' },
        { start: a!.start, end: a!.end, text: '2' },
      ]),
    ).toBe('{ "a" : 2 ,"b":"y"}');
    expect(applyEdits(text, [])).toBe(text);
  });

  it('at one place stand in the order given', () => {
    expect(
      applyEdits('{}', [
        { start: 1, end: 1, text: 'a' },
        { start: 1, end: 1, text: 'b' },
      ]),
    ).toBe('{ab}');
  });

  it('that overlap are refused', () => {
    expect(() =>
      applyEdits('abcd', [
        { start: 0, end: 3, text: '' },
        { start: 2, end: 4, text: '' },
      ]),
    ).toThrow('overlapping edits');
  });
});

describe('cost', () => {
  it.each([
    ['keys', (n: number) => `{${Array.from({ length: n }, (_, at) => `"key${at}":0`).join()}}`],
    ['escapes', (n: number) => `"${'\\n'.repeat(n * 4)}"`],
    ['pairs', (n: number) => `"${'😀'.repeat(n * 4)}"`],
    ['short strings', (n: number) => `[${'"a",'.repeat(n * 2)}"a"]`],
    ['white space', (n: number) => `[${' '.repeat(n * 8)}1${' '.repeat(n * 8)}]`],
  ])('grows with the text: %s', (_, make) => {
    const cost = (text: string): number => cpuMs(() => parseJson(text).text.length, 5);
    const small = make(20_000);
    const large = make(160_000);
    cost(small);
    // Eight times the text: quadratic would be 64 times the cost. Many keys leave the processor's caches, which is up to twice as dear.
    expect(cost(large)).toBeLessThan(Math.max(cost(small), 2) * 32);
  });
});
