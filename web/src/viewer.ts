/**
 * The only file that knows NiiVue (0.69). A newer viewer means a new version of this file.
 *
 * Labels are NiiVue's "drawing": one byte a voxel, an R8 texture and a palette. That makes an edit
 * cost what it changed: the changed box alone goes to the GPU. An overlay volume would be coloured
 * and uploaded whole, four bytes a voxel, for every click.
 */

import {
  DRAG_MODE,
  MULTIPLANAR_TYPE,
  Niivue,
  NVImage,
  SHOW_RENDER,
  SLICE_TYPE,
} from "@niivue/niivue";
import { Grid } from "./grid";
import { LabelMap } from "./labels";
import type { Box, Matrix4, Vec3 } from "./types";

export type Layout = "grid" | "axial" | "coronal" | "sagittal" | "3d";
export type Plane = "axial" | "coronal" | "sagittal";

/** What lies under the pointer. `normal` is the file axis that a plane cuts across. */
export type Hit =
  { view: "3d" } | { view: Plane; voxel: Vec3; normal: number; pixelsPerMm: number };

const LAYOUTS: Record<Layout, SLICE_TYPE> = {
  grid: SLICE_TYPE.MULTIPLANAR,
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
  "3d": SLICE_TYPE.RENDER,
};
/** By NiiVue's `axCorSag`; the RAS axis that the plane cuts across is 2 minus its place here. */
const PLANES: Plane[] = ["axial", "coronal", "sagittal"];

/**
 * Grey as usual in the slices; in 3D (where alpha counts) only what is bright in the window shows,
 * and thinly, so that labels are seen inside the body.
 */
const CT_COLORS = {
  R: [0, 128, 255],
  G: [0, 128, 255],
  B: [0, 128, 255],
  A: [0, 0, 40],
  I: [0, 160, 255],
};

/** Without a graphics card a frame of the 3D view takes a second: it is drawn when all is quiet. */
const QUIET_MS = 300;

/** NiiVue, drawn at most once a frame, with labels of their own opacity in 3D. */
class Scene extends Niivue {
  onDrawn: () => void = () => {};
  software = false;
  private frame = 0;
  private quiet = 0;
  private with3D = true;

  /** NiiVue draws at every change; a burst of changes becomes one drawing here. */
  override drawScene(): string | void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.with3D = !this.software;
      this.drawNow();
      if (!this.software) return;
      window.clearTimeout(this.quiet);
      this.quiet = window.setTimeout(() => {
        this.with3D = true;
        this.drawNow();
      }, QUIET_MS);
    });
  }

  override drawImage3D(...args: Parameters<Niivue["drawImage3D"]>): void {
    if (!this.with3D) return;
    const inSlices = this.drawOpacity;
    this.drawOpacity = inSlices > 0 ? 1 : 0;
    super.drawImage3D(...args);
    this.drawOpacity = inSlices;
  }

  private drawNow(): void {
    super.drawScene();
    this.onDrawn();
  }
}

/** Whether the browser computes its graphics on the CPU. */
function isSoftware(gl: WebGL2RenderingContext): boolean {
  const named = gl.getExtension("WEBGL_debug_renderer_info");
  const renderer = named ? String(gl.getParameter(named.UNMASKED_RENDERER_WEBGL)) : "";
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}

export class Viewer {
  /** Hears the voxel under the crosshair and the intensity there. */
  onCrosshair: (voxel: Vec3, intensity: number) => void = () => {};
  /** Hears the window that was dragged with the right button, in HU. */
  onWindow: (low: number, high: number) => void = () => {};
  /** Called after every redraw, for what is drawn above the canvas. */
  onRedraw: () => void = () => {};

  private readonly nv: Scene;
  private labels: LabelMap | null = null;

  private constructor(private readonly canvas: HTMLCanvasElement) {
    this.nv = new Scene({
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.35, 0.75, 1, 0.75],
      crosshairWidth: 0.15,
      crosshairWidthUnit: "percent",
      crosshairGap: 16, // half widths: what is under the crosshair stays in view
      fontColor: [0.62, 0.68, 0.74, 1],
      fontMinPx: 11,
      fontSizeScaling: 0.3,
      show3Dcrosshair: true,
      isRadiologicalConvention: true,
      isOrientCube: true,
      multiplanarShowRender: SHOW_RENDER.ALWAYS,
      multiplanarLayout: MULTIPLANAR_TYPE.GRID,
      multiplanarEqualSize: false,
      tileMargin: 2,
      dragAndDropEnabled: false,
      isNearestInterpolation: false,
      mouseEventConfig: {
        leftButton: { primary: DRAG_MODE.crosshair, withShift: DRAG_MODE.pan },
        rightButton: DRAG_MODE.windowing,
        centerButton: DRAG_MODE.pan,
      },
      // Keys are the page's business.
      viewModeHotKey: "",
      clipPlaneHotKey: "",
      cycleClipPlaneHotKey: "",
      logLevel: "error",
    });
  }

  /** @throws Error where the browser has no WebGL2. */
  static async attach(canvas: HTMLCanvasElement): Promise<Viewer> {
    const viewer = new Viewer(canvas);
    await viewer.nv.attachToCanvas(canvas);
    viewer.nv.addColormap("ct", CT_COLORS);
    viewer.nv.onLocationChange = () => viewer.announce();
    viewer.nv.onIntensityChange = (v) => viewer.onWindow(v.cal_min ?? 0, v.cal_max ?? 0);
    viewer.nv.onDrawn = () => viewer.onRedraw();
    viewer.nv.software = isSoftware(viewer.nv.gl);
    return viewer;
  }

  /**
   * Shows a scan without labels and returns its empty label map.
   *
   * @param nifti as a file, maybe gzipped.
   * @param window lowest and highest intensity on show, in HU.
   * @throws DOMException "AbortError" where `signal` came before the scan was unpacked.
   */
  async open(
    nifti: ArrayBuffer,
    shape: Vec3,
    affine: Matrix4,
    window: [number, number],
    signal: AbortSignal,
  ): Promise<LabelMap> {
    const { nv } = this;
    for (const old of [...nv.volumes]) nv.removeVolume(old);
    const image = await NVImage.loadFromUrl({
      url: nifti as unknown as string, // 0.69 takes a buffer here; its type does not say so
      name: "scan.nii.gz",
      colormap: "ct",
      opacity: 1,
      cal_min: window[0],
      cal_max: window[1],
    });
    signal.throwIfAborted();
    nv.addVolume(image);
    const grid = new Grid(shape, affine, [...image.permRAS!] as Vec3);
    this.labels = new LabelMap(grid);
    nv.createEmptyDrawing();
    nv.drawBitmap = this.labels.slots;
    nv.clickToSegmentGrowingBitmap = null; // a second copy that nothing here uses
    nv.scene.crosshairPos = Float32Array.of(0.5, 0.5, 0.5);
    this.resetView();
    return this.labels;
  }

  resetView(): void {
    this.nv.setPan2Dxyzmm([0, 0, 0, 1]);
    this.nv.setRenderAzimuthElevation(160, 12);
    this.nv.setScale(1);
    this.announce();
  }

  setWindow(low: number, high: number): void {
    const volume = this.nv.volumes[0];
    if (!volume || (volume.cal_min === low && volume.cal_max === high)) return;
    volume.cal_min = low;
    volume.cal_max = high;
    this.nv.updateGLVolume();
  }

  setLayout(layout: Layout): void {
    this.nv.setSliceType(LAYOUTS[layout]);
  }

  setRadiological(on: boolean): void {
    this.nv.setRadiologicalConvention(on);
  }

  /** `outline` 0..1 is the opacity of the rim; null draws filled labels only. */
  setLabelOpacity(fill: number, outline: number | null): void {
    // A hairline above 0: with 0 the shader leaves the outline out as well.
    this.nv.drawOpacity = outline === null ? fill : Math.max(fill, 0.004);
    this.nv.drawRimOpacity = outline ?? -1;
    this.nv.drawScene();
  }

  /** @param colors RGBA 0..255 by slot of the label map. */
  setPalette(colors: Map<number, [number, number, number, number]>): void {
    const lut = this.nv.drawLut.lut;
    lut.fill(0);
    for (const [slot, rgba] of colors) lut.set(rgba, slot * 4);
    this.nv.refreshColormaps();
    this.nv.drawScene();
  }

  /** Sends a box of the label map to the GPU. */
  refresh(box: Box): void {
    const { labels, nv } = this;
    if (!labels || !nv.drawTexture) return;
    const { gl } = nv;
    const [x, y, z] = labels.grid.rasBox(box) as [number, number][];
    gl.activeTexture(gl.TEXTURE7); // the unit NiiVue keeps the drawing on
    gl.bindTexture(gl.TEXTURE_3D, nv.drawTexture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_ROW_LENGTH, labels.grid.rasShape[0]);
    gl.pixelStorei(gl.UNPACK_IMAGE_HEIGHT, labels.grid.rasShape[1]);
    gl.pixelStorei(gl.UNPACK_SKIP_PIXELS, x![0]);
    gl.pixelStorei(gl.UNPACK_SKIP_ROWS, y![0]);
    gl.pixelStorei(gl.UNPACK_SKIP_IMAGES, z![0]);
    gl.texSubImage3D(
      gl.TEXTURE_3D,
      0,
      x![0],
      y![0],
      z![0],
      x![1],
      y![1],
      z![1],
      gl.RED,
      gl.UNSIGNED_BYTE,
      labels.slots,
    );
    for (const name of [
      "ROW_LENGTH",
      "IMAGE_HEIGHT",
      "SKIP_PIXELS",
      "SKIP_ROWS",
      "SKIP_IMAGES",
    ] as const) {
      gl.pixelStorei(gl[`UNPACK_${name}`], 0);
    }
    nv.drawScene();
  }

  /** What is under a point of the page; null outside every view. */
  hit(clientX: number, clientY: number): Hit | null {
    const { nv, labels } = this;
    if (!labels) return null;
    const [x, y] = this.canvasPoint(clientX, clientY);
    if (nv.inRenderTile(x, y) >= 0) return { view: "3d" };
    const tile = nv.tileIndex(x, y);
    const plane = PLANES[nv.screenSlices[tile]?.axCorSag ?? -1];
    if (!plane) return null;
    const fraction = nv.screenXY2TextureFrac(x, y, tile, true);
    if (fraction[0]! < 0) return null;
    const slice = nv.screenSlices[tile]!;
    return {
      view: plane,
      voxel: labels.grid.voxelOfFraction(fraction),
      normal: labels.grid.axisAlong(2 - PLANES.indexOf(plane)),
      pixelsPerMm: Math.abs(slice.leftTopWidthHeight[2]! / slice.fovMM[0]!) / (nv.uiData.dpr ?? 1),
    };
  }

  /** Where a voxel is on the page's canvas, in CSS pixels, in each plane that shows its slice. */
  places(voxel: Vec3): [number, number][] {
    const { nv, labels } = this;
    if (!labels) return [];
    const fraction = labels.grid.fractionOfVoxel(voxel);
    const dpr = nv.uiData.dpr ?? 1;
    const found: [number, number][] = [];
    nv.screenSlices.forEach((slice) => {
      const plane = PLANES[slice.axCorSag];
      if (!plane) return;
      const ras = 2 - slice.axCorSag;
      const away = (fraction[ras]! - nv.scene.crosshairPos[ras]!) * labels.grid.rasShape[ras]!;
      if (Math.abs(away) > 0.75) return;
      const on = [...fraction];
      on[ras] = nv.scene.crosshairPos[ras]!;
      const place = nv.frac2canvasPosWithTile(Float32Array.from(on), slice.axCorSag);
      if (place) found.push([place.pos[0]! / dpr, place.pos[1]! / dpr]);
    });
    return found;
  }

  /** Moves the crosshair, and with it all planes, to a voxel. */
  goTo(voxel: Vec3): void {
    if (!this.labels) return;
    this.nv.scene.crosshairPos = Float32Array.from(this.labels.grid.fractionOfVoxel(voxel));
    this.nv.drawScene();
    this.announce();
  }

  crosshair(): Vec3 | null {
    return this.labels?.grid.voxelOfFraction(this.nv.scene.crosshairPos) ?? null;
  }

  /** Steps through the slices of a plane. */
  step(plane: Plane, slices: number): void {
    const move: Vec3 = [0, 0, 0];
    move[2 - PLANES.indexOf(plane)] = slices;
    if (this.labels) this.nv.moveCrosshairInVox(...move);
  }

  /** Enlarges the planes around the crosshair. */
  zoom(factor: number): void {
    const { nv } = this;
    const [x, y, z, before] = [...nv.scene.pan2Dxyzmm] as [number, number, number, number];
    const after = Math.min(Math.max(before * factor, 0.5), 12);
    const mm = nv.frac2mm(nv.scene.crosshairPos);
    const change = before - after;
    nv.setPan2Dxyzmm([x + change * mm[0]!, y + change * mm[1]!, z + change * mm[2]!, after]);
  }

  /** Says where the crosshair is. */
  announce(): void {
    const { labels } = this;
    const image = this.nv.volumes[0];
    if (!labels || !image) return;
    const voxel = labels.grid.nearest(this.crosshair()!);
    const [ni, nj] = labels.grid.shape;
    const raw = image.img![voxel[0] + ni * (voxel[1] + nj * voxel[2])]!;
    const { scl_slope, scl_inter } = image.hdr!;
    this.onCrosshair(voxel, raw * (scl_slope || 1) + (scl_inter || 0));
  }

  private canvasPoint(clientX: number, clientY: number): [number, number] {
    const frame = this.canvas.getBoundingClientRect();
    const dpr = this.nv.uiData.dpr ?? 1;
    return [(clientX - frame.left) * dpr, (clientY - frame.top) * dpr];
  }
}
