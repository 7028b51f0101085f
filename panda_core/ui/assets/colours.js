// Colour maps as 17 colours each, joined linearly. All are perceptually uniform; viridis and cividis hold for colour-blind eyes, too.

const ANCHORS = {
  viridis: '440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1f9f88 27ad81 3dbc74 5cc863 81d34d aadc32 d5e21a fde725',
  cividis: '00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8b8778 9a9376 aaa073 bbad6d ccba64 ddc858 efd748 fee838',
  inferno: '000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d04545 e35933 f1711f f98c0a fcaa0f f9c932 f2e865 fcffa4',
  grey: '000000 ffffff',
};

/** Names for people, the default first. */
export const COLOUR_MAPS = {viridis: 'Viridis', cividis: 'Cividis', inferno: 'Inferno', grey: 'Grey'};

/** [red, green, blue] of a colour map at a share of 0 to 1. */
export function colourAt(name, share) {
  const anchors = ANCHORS[name].split(' ');
  const place = Math.min(Math.max(share, 0), 1) * (anchors.length - 1);
  const left = Math.min(Math.floor(place), anchors.length - 2);
  const [from, to] = [anchors[left], anchors[left + 1]].map(text => [0, 2, 4].map(at => parseInt(text.slice(at, at + 2), 16)));
  return from.map((value, channel) => Math.round(value + (place - left) * (to[channel] - value)));
}

/** One 32-bit number for a canvas pixel; red, green, blue 0..255, alpha 0..1. Little-endian, as every browser's machine is today. */
export function packed([red, green, blue], alpha) {
  return ((Math.round(255 * alpha) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** A colour for each of a grid's 65,536 levels: `low` takes the first colour of the map, `high` the last. */
export function levelColours(name, grid, {low, high, alpha}) {
  const shades = Uint32Array.from({length: 256}, (_, i) => packed(colourAt(name, i / 255), alpha));
  const table = new Uint32Array(65536);
  const scale = 255 / (high - low);
  for (let level = 0; level < table.length; level++) {
    const shade = Math.round((grid.low + level * grid.step - low) * scale);
    table[level] = shades[shade < 0 ? 0 : shade > 255 ? 255 : shade];
  }
  return table;
}

/** The colour map as a CSS background, left to right. */
export function gradient(name) {
  const stops = Array.from({length: 17}, (_, i) => `rgb(${colourAt(name, i / 16).join(' ')})`);
  return `linear-gradient(90deg, ${stops.join(', ')})`;
}
