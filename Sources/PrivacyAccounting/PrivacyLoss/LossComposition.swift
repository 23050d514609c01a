import Glibc

/// Composes discretised steps under an exponential tilt, by powers of their Fourier transforms.
///
/// A grid of `count` points is cyclic: what falls outside `LossTilt.interval` comes back inside, and is bounded.
struct LossComposition {
    /// How many times one kind of step happens, and its losses when the unit is removed and when it is added.
    typealias Part = (losses: StepLosses, count: Int)

    private let transform: FourierTransform

    init(count: Int) { transform = FourierTransform(count: count) }

    /// The composition's losses in both directions, each under its own tilt.
    ///
    /// Two real sequences go through one complex transform, as its real and imaginary parts.
    func compose(_ parts: [Part], side: ComposedLosses.Side, _ tilts: Tilts) -> (
        removing: ComposedLosses, adding: ComposedLosses
    ) {
        let count = transform.count
        var product = Spectrum(
            real: [Double](repeating: 1, count: count), imaginary: [Double](repeating: 1, count: count))
        var (first, second) = (Total(), Total())
        for part in parts {
            var spectrum = Spectrum(
                real: first.tilted(part.losses.removing, part.count, tilts.removing, length: count),
                imaginary: second.tilted(part.losses.adding, part.count, tilts.adding, length: count))
            transform.forward(&spectrum.real, &spectrum.imaginary)
            product.multiply(by: spectrum, power: part.count)
        }
        transform.backward(&product.real, &product.imaginary)
        return (
            first.composed(product.real, side: side, tilt: tilts.removing),
            second.composed(product.imaginary, side: side, tilt: tilts.adding)
        )
    }
}

/// What is known of a composition besides its weights.
private struct Total {
    private var offset = 0.0
    private var spacing = 0.0
    private var steps = 0
    private var logFinite = 0.0
    private var cumulant = 0.0
    private var cumulants = LossCumulants()
    private var smallest = 0.0
    private var largest = 0.0

    /// Takes `count` steps in; their tilted masses, wrapped around a grid of `length` points.
    mutating func tilted(_ step: LossMasses, _ count: Int, _ tilt: LossTilt, length: Int) -> [Double] {
        offset += Double(count) * step.offset
        spacing = step.spacing
        steps += count
        logFinite += Double(count) * log1p(-step.infinite)
        cumulants.add(step, count: count)
        smallest += Double(count) * step.loss(at: 0)
        largest += Double(count) * step.loss(at: step.masses.count - 1)
        var own = LossCumulants()
        own.add(step, count: 1)
        let logNorm = own.value(tilt.theta)
        cumulant += Double(count) * logNorm
        var wrapped = [Double](repeating: 0, count: length)
        for (position, mass) in step.masses.enumerated() where mass > 0 {
            let weight = exp(log(mass) + tilt.theta * step.loss(at: position) - logNorm)
            wrapped[(step.firstIndex + position) & (length - 1)] += weight
        }
        return wrapped
    }

    func composed(_ values: [Double], side: ComposedLosses.Side, tilt: LossTilt) -> ComposedLosses {
        let length = values.count
        // The grid is wider than the interval; half of that goes below it.
        let width = tilt.interval.upperBound - tilt.interval.lowerBound
        let below = (Double(length) * spacing - width) / 2
        let first = Int(((tilt.interval.lowerBound - below - offset) / spacing).rounded(.down))
        let start = first & (length - 1)
        let (low, high) = (
            offset + Double(first) * spacing, offset + Double(first + length - 1) * spacing
        )
        let outside =
            mass(beyond: high, towards: tilt.chernoff.above, tilt)
            + mass(beyond: low, towards: tilt.chernoff.below, tilt)
        let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return ComposedLosses(
            side: side, theta: tilt.theta, cumulant: cumulant, centre: tilt.centre, firstLoss: low, spacing: spacing,
            weights: Array(values[start...] + values[..<start]),
            rounding: Self.rounding(steps: steps, length: length) * norm,
            outside: outside, infinite: -expm1(logFinite))
    }

    /// Rounding of one element of a composition, relative to the l2 norm of all.
    ///
    /// The transform of masses that add up to 1 has rounding errors of about 2^-53 sqrt(log2(length)), as good as
    /// independent, which the power multiplies by the number of steps and the way back spreads over the grid. Sixteen
    /// such standard deviations are allowed for.
    private static func rounding(steps: Int, length: Int) -> Double {
        0x1p-49 * Double(steps) * (Double(length.trailingZeroBitCount) / Double(length)).squareRoot()
    }

    /// A bound of the tilted mass beyond `loss`, above it if `tilt` is towards a larger theta, else below: Chernoff's,
    /// at the tilt proposed and nearer ones, since the grid has a little more spread than the losses it was chosen for.
    private func mass(beyond loss: Double, towards theta: Double, _ tilt: LossTilt) -> Double {
        if theta > tilt.theta ? largest <= loss : smallest >= loss { return 0 }
        var best = 0.0
        var change = theta - tilt.theta
        for _ in 0..<12 {
            best = min(best, cumulants.value(tilt.theta + change) - cumulant - change * loss)
            change /= 2
        }
        return exp(best)
    }
}

/// The transforms A and B of two real sequences, packed as A + i B, in the order of ``FourierTransform``.
private struct Spectrum {
    var real: [Double]
    var imaginary: [Double]

    /// Multiplies A and B by powers of the other's.
    mutating func multiply(by other: Spectrum, power: Int) {
        for index in real.indices {
            let opposite = FourierTransform.opposite(of: index)
            guard opposite >= index else { continue }
            let (a, b) = self.pair(index, opposite)
            let (c, d) = other.pair(index, opposite)
            set(a * c.power(power), b * d.power(power), index, opposite)
        }
    }

    /// A and B at one frequency: halves of sum and difference of A + i B there and its conjugate at the opposite.
    private func pair(_ index: Int, _ opposite: Int) -> (Complex, Complex) {
        let (x, y) = (real[index], imaginary[index])
        let (u, v) = (real[opposite], imaginary[opposite])
        return (Complex((x + u) / 2, (y - v) / 2), Complex((y + v) / 2, (u - x) / 2))
    }

    private mutating func set(_ a: Complex, _ b: Complex, _ index: Int, _ opposite: Int) {
        (real[index], imaginary[index]) = (a.real - b.imaginary, a.imaginary + b.real)
        (real[opposite], imaginary[opposite]) = (a.real + b.imaginary, b.real - a.imaginary)
    }
}

private struct Complex {
    var real: Double
    var imaginary: Double

    init(_ real: Double, _ imaginary: Double) {
        self.real = real
        self.imaginary = imaginary
    }

    var size: Double { (real * real + imaginary * imaginary).squareRoot() }

    static func * (left: Complex, right: Complex) -> Complex {
        Complex(
            left.real * right.real - left.imaginary * right.imaginary,
            left.real * right.imaginary + left.imaginary * right.real)
    }

    func power(_ exponent: Int) -> Complex {
        if exponent == 1 { return self }
        let logSize = Double(exponent) / 2 * log(real * real + imaginary * imaginary)
        guard logSize > -100 else { return Complex(0, 0) }
        let (size, angle) = (exp(logSize), Double(exponent) * atan2(imaginary, real))
        return Complex(size * cos(angle), size * sin(angle))
    }
}
