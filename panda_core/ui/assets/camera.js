// Which part of the picture is seen, shared by all panes: they always show the same place at the same size.

const LARGEST_PIXEL = 40;

/** zoom 1 fits the picture into its pane; x and y are the place in the middle of the pane, in shares of the picture. */
export function createCamera() {
  const camera = {zoom: 1, x: 0.5, y: 0.5};

  const fit = ({width, height}, picture) => Math.min(width / picture.width, height / picture.height);

  /** Where the picture lies in a pane: {scale, left, top} in pixels of the pane; also keeps the picture from leaving it. */
  function place(pane, picture) {
    const scale = fit(pane, picture) * camera.zoom;
    camera.x = keep(camera.x, pane.width / (picture.width * scale));
    camera.y = keep(camera.y, pane.height / (picture.height * scale));
    return {
      scale,
      left: pane.width / 2 - camera.x * picture.width * scale,
      top: pane.height / 2 - camera.y * picture.height * scale,
    };
  }

  /** Zoom by a factor so that the place under (x, y) of the pane stays there. */
  function zoomAt(factor, x, y, pane, picture) {
    const before = place(pane, picture);
    const largest = Math.max(1, LARGEST_PIXEL / fit(pane, picture));
    camera.zoom = Math.min(Math.max(camera.zoom * factor, 1), largest);
    const scale = fit(pane, picture) * camera.zoom;
    camera.x = ((x - before.left) / before.scale - (x - pane.width / 2) / scale) / picture.width;
    camera.y = ((y - before.top) / before.scale - (y - pane.height / 2) / scale) / picture.height;
    place(pane, picture);
  }

  /** Move the picture by pixels of the pane. */
  function pan(dx, dy, pane, picture) {
    const {scale} = place(pane, picture);
    camera.x -= dx / (picture.width * scale);
    camera.y -= dy / (picture.height * scale);
    place(pane, picture);
  }

  /** Show a box [x0, y0, x1, y1] of picture pixels with room around it. */
  function frame([x0, y0, x1, y1], pane, picture) {
    const room = 2.2;
    const wanted = Math.min(pane.width / ((x1 - x0) * room), pane.height / ((y1 - y0) * room), 16);
    camera.zoom = Math.max(1, wanted / fit(pane, picture));
    camera.x = (x0 + x1) / 2 / picture.width;
    camera.y = (y0 + y1) / 2 / picture.height;
    place(pane, picture);
  }

  function reset() {
    Object.assign(camera, {zoom: 1, x: 0.5, y: 0.5});
  }

  return Object.assign(camera, {fit, place, zoomAt, pan, frame, reset});
}

// Middle of the view so that no edge of the picture moves inside the pane; `seen` is the share of the picture in view.
function keep(middle, seen) {
  return seen >= 1 ? 0.5 : Math.min(Math.max(middle, seen / 2), 1 - seen / 2);
}
